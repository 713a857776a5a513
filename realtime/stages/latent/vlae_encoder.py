"""A VLAE's encoder on one core, hop by hop: log-mel frames to the latents' means, by numba kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gramophone.realtime.kernels.arrays import Floats, packed, zeros
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.stages.latent import voice_layers as layers
from gramophone.realtime.stages.latent.voice_features import LogMelPlan, advance, log_powers, plan_of
from gramophone.realtime.stages.latent.voice_layers import compiled, multiply

if TYPE_CHECKING:
    from gramophone.models.layers.vocoder_features import LogMel
    from gramophone.models.nets.vlae import VLAE, VLAEShape


class VlaeEncoderWeights(NamedTuple):
    """`entry`, features to width `W`; `U` units of width `W`, with `mixes` `(U, W, W)`; what folds frames; `out`.

    `late` is by how many frames each window is delayed. `folds` `(2, stride * W, W)` are the frames of the hop before
    and of this one.
    """

    late: tuple[int, ...]
    entry: layers.Layers
    units: layers.Layers
    mixes: Floats
    mix_bias: Floats
    folds: Floats
    fold_bias: Floats
    out: Floats
    out_bias: Floats


class VlaeEncoderState(NamedTuple):
    """The newest sound `(T,)`; the last frames `(frames, windows * bands)`; the layers' past; two hops of frames.

    `path`, `inner`, `folded` and `output` are work space.
    """

    sound: Floats
    frames: Floats
    entry: layers.LayerState
    units: layers.LayerState
    hops: Floats
    path: Floats
    inner: Floats
    folded: Floats
    output: Floats


def fits(shape: VLAEShape) -> bool:
    """Return whether the windows of a model are powers of two, as the kernels' Fourier transform needs."""
    return not any(window & (window - 1) for window in (shape.mel_window, shape.pitch_window))


class VlaeEncoderParts(NamedTuple):
    """What an encoder is bound to, from silence: the constants of its windows, its weights, its state."""

    plans: tuple[LogMelPlan, ...]
    weights: VlaeEncoderWeights
    state: VlaeEncoderState


def encoder_parts(model: VLAE) -> VlaeEncoderParts:
    """Return what `LiveVlaeEncoder` takes of a model.

    Raises:
        StageError: a window is not a power of two.
    """
    from gramophone.models.layers.composition import Sequential

    first, *_ = parts = list(cast(Any, model.encoder).layers)
    branches = [part.layers[0] if isinstance(part, Sequential) else part for part in cast(Any, first).layers]
    extractors = [cast("LogMel", branch) for branch in branches]
    plans = tuple(map(plan_of, extractors))
    late = first.delay + cast(Any, parts[1]).delay
    weights = _weights_of(model, tuple(late - extractor.delay for extractor in extractors))
    return VlaeEncoderParts(plans, weights, _silence(model, weights, max(len(plan.window) for plan in plans)))


class LiveVlaeEncoder(layers.FrameByFrame):
    """Encodes hops `(hop,)` to the means of their latents, `(latents,)`, `encoder.delay` frames late."""

    def __init__(self, parts: VlaeEncoderParts) -> None:
        plans, weights, state = parts
        self._hop = plans[0].hop
        super().__init__(
            bind(_add_past, (weights, state), 0), bind(_encode_frame, (plans, weights, state), 0, state.sound, 0)
        )
        self._fold = bind(_fold, (weights, state))
        self._output: Floats = state.output[0]

    def encode(self, sound: Floats) -> Floats:
        """Return the latents of the next hop."""
        for start in range(0, len(sound), self._hop):
            self.advance(sound[start : start + self._hop], start // self._hop)
        self._fold()
        return self._output.copy()


def _silence(model: VLAE, weights: VlaeEncoderWeights, longest: int) -> VlaeEncoderState:
    """Return the state of silence; `longest` is the length of the longest window."""
    shape = model.shape
    return VlaeEncoderState(
        sound=zeros(longest),
        frames=zeros(max(weights.late) + 1, weights.entry.taps.shape[1]),
        entry=layers.initial_state(weights.entry),
        units=layers.initial_state(weights.units),
        hops=zeros(2, shape.stride * shape.width),
        path=zeros(1, shape.width),
        inner=zeros(1, shape.width),
        folded=zeros(1, shape.width),
        output=zeros(1, shape.latents),
    )


def _weights_of(model: VLAE, late: tuple[int, ...]) -> VlaeEncoderWeights:
    import torch

    parts: list[Any] = list(cast(Any, model.encoder).layers)
    _, _, entry, *units, fold, out = parts
    bodies = [unit.layers[1].layers for unit in units]
    latents = model.shape.latents
    return VlaeEncoderWeights(
        late=late,
        entry=layers.layers_of([entry]),
        units=layers.layers_of([body[1] for body in bodies]),
        mixes=packed(torch.cat([body[3].weight for body in bodies])),
        mix_bias=packed(torch.stack([body[3].bias for body in bodies])),
        folds=packed(fold.weight),
        fold_bias=packed(fold.bias),
        out=packed(out.weight[:, :, :latents]),
        out_bias=packed(out.bias[:latents]),
    )


@compiled
def _add_past(bound: Any, now: int) -> None:
    """Add up what frames before frame `now` contribute to it."""
    weights, state = contents(bound)
    layers.add_past(weights.entry, state.entry, now)
    layers.add_past(weights.units, state.units, now)


@compiled
def _encode_frame(bound: Any, now: int, sound: Floats, part: int) -> None:
    """Pass frame `now`, whose hop of sound is `sound`, through the units, and put it into its part of this hop."""
    plans, weights, state = contents(bound)
    advance(state.sound, sound)
    bands = plans[0].level.shape[1]
    ring, place = len(state.frames), layers.slot_of(weights.entry, 0, now)
    for window, plan in enumerate(plans):
        log_powers(plan, state.sound, len(state.sound) - len(plan.window), state.frames[now % ring], window * bands)
        late = (now - weights.late[window]) % ring
        for i in range(window * bands, (window + 1) * bands):
            state.entry.past[place, i] = state.frames[late, i]
    layers.add_newest(weights.entry, state.entry, 0, now)
    width = weights.mixes.shape[1]
    for i in range(width):
        state.path[0, i] = state.entry.sums[0, i]
    layers.add_units(weights.units, state.units, weights.mixes, weights.mix_bias, state.path, state.inner, now)
    for i in range(width):
        state.hops[1, part * width + i] = state.path[0, i]


@compiled
def _fold(bound: Any) -> None:
    """Compute the latents of this hop from its frames and those of the hop before, into the state's output."""
    weights, state = contents(bound)
    for i in range(state.folded.shape[1]):
        state.folded[0, i] = weights.fold_bias[i]
    for hop in range(2):
        multiply(state.folded, 0, state.hops, hop, weights.folds, hop)
    for i in range(state.hops.shape[1]):
        state.hops[0, i] = state.hops[1, i]
    for i in range(state.output.shape[1]):
        state.output[0, i] = weights.out_bias[i]
    multiply(state.output, 0, state.folded, 0, weights.out, 0)
