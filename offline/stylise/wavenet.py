"""WaveNet: the sound's levels move one by one until a WaveNet's activations hang together as the style's do.

Content is one deep layer's residual path, style the Gram matrices of four (with their means), and with both goes the
sound's likelihood. In 2016 each sample was optimised on its own and noise came out, or one at a time by a full gradient
each, an hour for a second of sound; here a sweep over all of it takes seconds (`sweeps.py`, `receptive_field.py`,
`objective_change.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.checkpoint import load
from gramophone.models.layers import mulaw
from gramophone.models.nets.output_distributions import Categorical
from gramophone.models.nets.wavenet import WaveNet, one_hot_speaker
from gramophone.models.style.gram import gram
from gramophone.offline.stylise.method import StyliseError, TransferMethod, apart_by, share
from gramophone.offline.stylise.objective_change import StyleObjective
from gramophone.offline.stylise.receptive_field import Levels
from gramophone.offline.stylise.sweeps import Sweeper
from gramophone.presets.models import model_file
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import WaveNetWeights, weights_of

_SEED = 2016


class ActivationView:
    """What a WaveNet without a local series makes of symbols, in torch: the truth that the kernels are checked against.

    Symbols `(T,)` are levels, or real numbers: one between two levels is their mixture.
    """

    def __init__(self, network: WaveNet, speaker: int) -> None:
        self.network = network
        weights = [one_hot_speaker(speaker, network.shape.speakers)] if network.shape.speakers else []
        like = next(network.parameters())
        with torch.no_grad():
            conditions = network.conditions(like.new_zeros(1, 0, 1), None, *(weight.to(like) for weight in weights))[0]
        self._controls = (conditions,) if network.shape.condition else ()

    def __call__(self, symbols: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the activations of `layers`, `(T, R)` each, and what the symbols cost in nats."""
        below, part = _between(symbols)
        table = self.network.get_parameter("entry.weight")
        entered = table[below] if part is None else torch.lerp(table[below], table[below + 1], part[:, None])
        activations, costs = self.entered(entered, layers)
        nats = costs.gather(0, below[None, 1:])[0]
        if part is not None:
            nats = torch.lerp(nats, costs.gather(0, below[None, 1:] + 1)[0], part[1:])
        return activations, nats.sum()

    def entered(self, entered: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return activations, and what all levels cost after the first symbol, `(256, T - 1)`.

        `entered` `(T, R)` is what the symbols are to the first layer.
        """
        any_symbols = torch.zeros(1, 1, len(entered), dtype=torch.int64)
        with _entering(self.network, entered[None]):
            predicted, activations = self.network.predictions(any_symbols, layers, *self._controls)
        return [layer[0].t() for layer in activations], -F.log_softmax(predicted[0, :, :-1], 0)

    def weights(self) -> WaveNetWeights:
        """Return the network's weights for the kernels, in which the speaker is part of the gates' biases."""
        weights = weights_of(self.network)
        if self._controls:
            weights.gate_bias[...] += np.einsum("c,lco->lo", self._controls[0][0, :, 0].numpy(), weights.condition)
        return weights


class WaveNetStyle(TransferMethod):
    """Descends in mu-law levels `(T,)`, from the content's; a step is a sweep."""

    steps = 20
    round_steps = 1
    balance = 0.8
    term_weights: ClassVar[Mapping[str, float]] = {"likelihood": 0.5}
    usual_model = "garble"
    network: ClassVar[WaveNet]
    hot: ClassVar[float] = 0.0
    """Of the loss a step, how much it may rise by chance when the descent begins; less and less until half-way."""

    @classmethod
    def with_model(cls, model: str) -> type[Self]:
        """Return this method by the WaveNet called `model`.

        Raises:
            CheckpointError, PresetError: there is no such model, or it is of another kind.
            StyliseError: its output is not of levels, or it has other conditions than speakers.
        """
        network, card = load(model_file(model), "wavenet")
        assert isinstance(network, WaveNet)
        if not isinstance(network.output, Categorical):
            raise StyliseError(f"model {model}: its output is {network.shape.output}; expected mulaw, which has levels")
        if network.shape.local or network.shape.vector:
            raise StyliseError(f"model {model}: it follows another sound or a text; expected speakers at most")
        return type(cls.__name__, (cls,), {"rate": card.rate, "network": network.requires_grad_(False)})

    def __init__(self, content: Tensor, style: Tensor) -> None:
        self._start, wanted = mulaw.encode(content.cpu()), mulaw.encode(style.cpu())
        depth = self.network.shape.layers
        self.layers = sorted({max(round((depth - 1) * quarter / 4) - 1, 0) for quarter in range(1, 5)})
        with torch.no_grad():
            self.hearing = min(self._speakers(), key=lambda hearing: float(hearing(wanted, ())[1]))
            before, self._nats = self.hearing(self._start, self.layers)
            after, _ = self.hearing(wanted, self.layers)
            self._deep, self._middle = before[-1], before[-1].mean(0).expand_as(before[-1])
            self._spread = [(layer.mean(0), 1 / layer.std(0).clamp_min(1e-3)) for layer in after]
            self._before, self._wanted = self._grams(before), self._grams(after)

    def start(self) -> Tensor:
        """Return the content's levels."""
        return self._start.clone()

    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return which share of the deepest layer's movement is lost."""
        activations, _ = self.hearing(x.cpu(), self.layers[-1:])
        return self._content(activations[-1])

    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return how far each layer's Gram matrix is from the style's, and the likelihood's cost, of the content's."""
        return self._style(*self.hearing(x.cpu(), self.layers))

    def loss_of(self, activations: Sequence[Tensor], nats: Tensor, strength: float) -> Tensor:
        """Return the whole loss of what is made of some symbols."""
        return self.weighted(self._content(activations[-1]), self._style(activations, nats), strength)

    @torch.no_grad()
    def objective(self, x: Tensor, strength: float) -> float:
        """Return the whole loss of symbols `(T,)`."""
        return float(self.weighted(self.content_losses(x), self.style_losses(x), strength))

    def advanced(self, x: Tensor, strength: float, done: int, steps: int) -> Tensor:
        """Return the levels after so many sweeps more; whatever went before, a sweep's chance depends on its number."""
        sweeper = self.sweeper(strength)
        levels = x.cpu().numpy()
        for number in range(done, done + steps):
            levels, _ = sweeper.sweep(levels, self.slopes(levels, strength), self._temperature(number), (_SEED, number))
        return torch.from_numpy(levels.copy())

    def sound(self, x: Tensor) -> Tensor:
        """Return the levels' sound."""
        return mulaw.decode(x)

    def sweeper(self, strength: float, threads: int = 0) -> Sweeper:
        """Return what sweeps with this share of style."""
        return Sweeper(self.hearing.weights(), self.objective_terms(strength), len(self._start), threads)

    def slopes(self, levels: Levels, strength: float) -> Floats:
        """Return the loss's gradient by what each symbol is to the first layer, `(T, R)`."""
        below = torch.from_numpy(levels)
        entered = self.network.get_parameter("entry.weight")[below].requires_grad_()
        activations, costs = self.hearing.entered(entered, self.layers)
        loss = self.loss_of(activations, costs.gather(0, below[None, 1:]).sum(), strength)
        slopes: Floats = torch.autograd.grad(loss, entered)[0].numpy()
        return slopes

    def objective_terms(self, strength: float) -> StyleObjective:
        """Return the same loss for the kernels."""
        length, count = len(self._start), len(self.layers)
        term_weights = [self.term_weights.get(name, 1.0) for name in self._names()]
        apart = [float(apart_by(a, b)) for a, b in zip(self._before, self._wanted, strict=True)]
        content = torch.zeros(count, length, self.network.shape.residual)
        content[-1] = self._deep
        lost = float(apart_by(self._deep, self._middle))
        return StyleObjective(
            layers=np.array(self.layers),
            content=content.reshape(count * length, -1).numpy(),
            content_weights=np.array([0.0] * (count - 1) + [(1 - strength) / lost]),
            centre=torch.stack([mean for mean, _ in self._spread]).numpy(),
            scale=torch.stack([scale for _, scale in self._spread]).numpy(),
            wanted=torch.stack(self._wanted).double().numpy() * length,
            style_weights=strength * np.array(term_weights[:-1]) / sum(term_weights) / (np.array(apart) * length**2),
            nats_weight=strength * term_weights[-1] / sum(term_weights) / float(self._nats),
        )

    def _speakers(self) -> Iterator[ActivationView]:
        return (ActivationView(self.network, speaker) for speaker in range(max(self.network.shape.speakers, 1)))

    def _temperature(self, number: int) -> float:
        return self.hot / len(self._start) * max(1 - 2 * number / self.steps, 0.0)

    def _names(self) -> list[str]:
        return [*(f"layer {layer}" for layer in self.layers), "likelihood"]

    def _content(self, deep: Tensor) -> dict[str, Tensor]:
        return {f"layer {self.layers[-1]}": share(deep, self._deep, self._middle)}

    def _style(self, activations: Sequence[Tensor], nats: Tensor) -> dict[str, Tensor]:
        found = zip(self._grams(activations), self._wanted, self._before, strict=True)
        shares = [share(*grams) for grams in found]
        return dict(zip(self._names(), [*shares, nats / self._nats], strict=True))

    def _grams(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Return the Gram matrices of features by the style's mean and spread, and a one."""
        grams = []
        for layer, (mean, scale) in zip(activations, self._spread, strict=True):
            features = F.pad((layer - mean) * scale, (0, 1), value=1.0)
            grams.append(gram(features.t()[None])[0, 0])
        return grams


def _between(symbols: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the level below each symbol, and how far it is on the way to the next; None where all are levels."""
    if not symbols.is_floating_point():
        return symbols, None
    below = symbols.detach().floor().clamp(0, mulaw.LEVELS - 2)
    return below.long(), symbols - below


@contextmanager
def _entering(network: WaveNet, entered: Tensor) -> Iterator[None]:
    """Have `entered` `(1, T, R)` be what any symbols are to the first layer."""
    hook = network.entry.register_forward_hook(lambda *_: entered)
    try:
        yield
    finally:
        hook.remove()
