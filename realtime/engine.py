"""The engine: a preset's chain, fed blocks of any length, its parameters set and its work measured.

engine = Engine.load("default", rate=48_000)
styled = engine.render(voice)                      # a whole array, in line with the input to the sample
for block in engine.stream(blocks): ...            # or block by block, `engine.delay` samples late
wet = engine(dry, rate)                            # or as a pedalboard's effect, at whatever rate the sound has
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value, lookup
from gramophone.presets import Preset, PresetError, load
from gramophone.realtime.chain import Chain
from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.input_guard import LOUDEST_INPUT, InputGuard
from gramophone.realtime.dsp.meters import BlockMeter, Level
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.parameter_table import overridden
from gramophone.realtime.stage import Audio, Format, as_audio, of_floats

_CHANGE_MS = 50.0
RATES = range(500, 1_000_001)
"""The sample rates in Hz that stages are made for."""
_FEW = 8
"""Channels that files have at most, but for rare ones: an array with more rows and no more columns is on its side."""
_RENDER_BLOCK = 16_384
_INPUT, _OUTPUT = 0, 1
"""The parts of the engine's meter; the output's time is that of the whole block."""


@dataclass(frozen=True)
class EngineReport:
    """What the engine did since the last report; times in ms per block."""

    latency_samples: int
    load: float
    """Time spent over time played: above 1 the sound cannot be live."""
    stages: dict[str, dict[str, float]]
    """Median and 95 % quantile by stage."""
    input: Level
    output: Level
    non_finite: int
    """Input samples that were NaN or infinite and were taken as silence, since the start."""
    limited: int
    """Input samples that were above +48 dBFS and were limited to it, since the start."""
    failures: dict[str, int]
    """How often stages of the chain that plays made what is no sound and were made again, by name."""
    left_out: dict[str, str]
    """Why stages have been left out of the sound, by name; empty when all play."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be known about the sound, in words."""
        remarks = [f"without stage {name!r}: {why}" for name, why in self.left_out.items()]
        if self.non_finite:
            remarks.append(f"{self.non_finite} samples were NaN or infinite and were taken as silence")
        if self.limited:
            remarks.append(f"{self.limited} samples were above +48 dBFS and were limited to it")
        for name, count in self.failures.items():
            remarks.append(f"stage {name!r} played what is no sound and was made again ({count} times)")
        return tuple(remarks)


class Engine:
    """A preset playing at one sample rate (Hz) and channel count. One thread feeds it; any thread may set parameters.

    Raises:
        PresetError: the preset does not fit, or a stage of it cannot be made; the message names file and key.
    """

    def __init__(self, preset: Preset, rate: int, channels: int = 2, device: str = "auto") -> None:
        self._form = Format(_checked_rate(rate), channels, device)
        self._chain = Chain(preset, self._form)
        self._leaving: _Leaving | None = None
        self._pending: deque[tuple[Chain, str, Value]] = deque()
        self._meter = BlockMeter(2)
        self._measure_input = self._meter.measure(_INPUT, LOUDEST_INPUT)
        self._measure_output = self._meter.measure(_OUTPUT)
        self._guard = InputGuard()
        self._spent_ns = 0.0

    @classmethod
    def load(
        cls,
        preset: str | os.PathLike[str],
        rate: int,
        channels: int = 2,
        settings: Iterable[str] = (),
        device: str = "auto",
    ) -> Engine:
        """Return an engine playing a factory preset by name or a preset file, with `stage.param=value` settings."""
        return cls(overridden(load(preset), settings), rate, channels, device)

    @property
    def chain(self) -> Chain:
        """The chain that plays, for the thread that feeds it."""
        return self._chain

    @property
    def delay(self) -> int:
        """Latency in samples."""
        return self._chain.delay

    @property
    def preset(self) -> Preset:
        """The preset that plays, with every value as it is now."""
        return self._chain.preset

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by its address, `stage.parameter`."""
        return self._chain.parameters

    def set(self, address: str, value: Value) -> None:
        """Set the parameter at `stage.parameter`, in its unit, from the next block on, smoothed. Any thread may.

        The thread that feeds the engine hands the value to the stage when the next block begins, so that stages are
        touched by one thread only. A deque takes from one thread and gives to another without a lock.

        Raises:
            ParameterError: there is no such parameter, or it does not take the value.
        """
        chain = self._chain
        checked = lookup(chain.parameters, address).check(value)
        chain.values[address] = checked
        self._pending.append((chain, address, checked))

    def change(self, preset: Preset) -> None:
        """Fade over to another preset within 50 ms, without a click or a gap.

        The new chain is made here, in the caller's thread and time; the old one stays where it fails.

        Raises:
            PresetError: the new preset does not fit.
        """
        self.enter(self.prepare(preset))

    @property
    def changing(self) -> bool:
        """Whether a fade to another preset is under way."""
        return self._leaving is not None

    def prepare(self, preset: Preset) -> Chain:
        """Return a chain for `enter` or `restart`; any thread may make it while another plays.

        Raises:
            PresetError: the preset does not fit.
        """
        return Chain(preset, self._form)

    def enter(self, chain: Chain) -> None:
        """Fade over to a prepared chain, from the next block on. For the thread that plays."""
        if self._leaving:
            self._leaving.close()
        self._apply_pending()
        self._chain.hold()
        self._leaving = _Leaving(self._chain, chain.delay, self._form)
        self._chain = chain

    def restart(self, chain: Chain) -> None:
        """Go on with a prepared chain at once, without a fade. For the thread that plays."""
        if self._leaving:
            self._leaving.close()
        old, self._chain, self._leaving = self._chain, chain, None
        old.close()

    def reorder(self, names: Sequence[str]) -> None:
        """Put the stages into the order of `names` and fade over to it.

        Raises:
            PresetError: `names` are not the chain's stages.
        """
        stages = {stage.name: stage for stage in self.preset.stages}
        if sorted(names) != sorted(stages):
            raise PresetError(f"order {', '.join(names)}: expected each of {', '.join(stages)} once")
        self.change(replace(self.preset, stages=tuple(stages[name] for name in names)))

    def __call__(self, audio: NDArray[np.floating[Any]], rate: float, reset: bool = True) -> Audio:
        """Return the sound of a whole array, as an effect of pedalboard does, in line with it and of its shape.

        `audio` is `(channels, frames)` or `(frames,)`, at `rate` Hz; where rate or channels differ from the engine's,
        it changes to them. Without `reset` the sound goes on from the last call, `delay` samples late, as by `process`.

        Raises:
            ValueError: the array has another form, or is not of floating-point numbers; the rate is none.
        """
        if not reset:
            return self.process(audio, rate)
        sound = self._in_form(audio, rate)
        return self.render(sound).reshape(np.shape(audio))

    def process(self, block: NDArray[np.floating[Any]], rate: float | None = None, reset: bool = False) -> Audio:
        """Return the sound of `block`, `(channels, frames)`, `delay` samples late. Never writes `block`.

        With a `rate` in Hz the block may be `(frames,)` too, and the engine changes to its rate and channels, from
        silence; with `reset` it begins from silence in any case.

        Raises:
            ValueError: the block has another form or number of channels, or is not of floating-point numbers; the rate
                is none.
        """
        if rate is not None:
            return self.process(self._in_form(block, rate, reset=reset)).reshape(np.shape(block))
        if reset:
            self.reset()
        start = perf_counter_ns()
        if self._pending:
            self._apply_pending()
        if not self._measure_input(block, block, 0):
            block = self._guard.process(as_audio(of_floats(block)))
            self._measure_input(block, block, 0)
        if len(block) != self._form.channels:
            raise ValueError(f"audio of shape {block.shape}: expected ({self._form.channels}, frames)")
        leaving = self._leaving
        output = self._chain.process(block)
        if leaving:
            output = leaving.fade(block, output)
            if leaving.done and self._leaving is leaving:
                self._leaving = None
        self._measure_output(output, output, perf_counter_ns() - start)
        return output

    def stream(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """Process blocks as they come, one for one."""
        return map(self.process, blocks)

    def aligned(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """Process blocks, with the latency trimmed: as many frames come out as went in, in line to the sample."""
        late = self.delay
        for block in blocks:
            output = self.process(block)
            if late < output.shape[1]:
                yield output[:, late:]
            late = max(late - output.shape[1], 0)
        for rest in _cut(self.delay, _RENDER_BLOCK):
            output = self.process(np.zeros((self._form.channels, rest), np.float32))
            if late < rest:
                yield output[:, late:]
            late = max(late - rest, 0)

    def render(self, audio: Audio) -> Audio:
        """Return the sound of a whole array, `(channels, frames)`, from silence, of its length and in line with it.

        Raises:
            ValueError: the array has another number of channels than the engine.
        """
        channels, audio = self._form.channels, np.asarray(audio)
        if audio.ndim != 2 or len(audio) != channels:
            raise ValueError(f"audio of shape {audio.shape}: expected ({channels}, frames)")
        self.reset()
        blocks = [audio[:, i : i + _RENDER_BLOCK] for i in range(0, audio.shape[1], _RENDER_BLOCK)]
        return np.concatenate([np.empty((channels, 0), np.float32), *self.aligned(blocks)], axis=1)

    def reset(self) -> None:
        """Forget all sound: the next block follows silence. Values stay."""
        self.restart(self.prepare(self.preset))

    def report(self) -> EngineReport:
        """Return meters and timings since the last report."""
        chain, spent_ns = self._chain, self._meter.spent_ns(_OUTPUT)
        level, samples = self._meter.read(_INPUT)
        seconds = samples / self._form.channels / self._form.rate
        stages = {"engine": (self._meter, _OUTPUT)} | {
            slot.name: (chain.meter, part) for part, slot in enumerate(chain)
        }
        report = EngineReport(
            latency_samples=self.delay,
            load=round((spent_ns - self._spent_ns) / 1e9 / seconds, 4) if seconds else 0.0,
            stages={
                name: {
                    "median_ms": round(meter.quantile_ms(0.5, part), 4),
                    "p95_ms": round(meter.quantile_ms(0.95, part), 4),
                }
                for name, (meter, part) in stages.items()
            },
            input=level,
            output=self._meter.read(_OUTPUT)[0],
            non_finite=self._guard.non_finite,
            limited=self._guard.limited,
            failures=chain.failures,
            left_out=chain.status,
        )
        self._spent_ns = spent_ns
        return report

    def close(self) -> None:
        """Free threads and handles."""
        self._chain.close()
        if self._leaving:
            self._leaving.close()

    def _in_form(self, audio: NDArray[np.floating[Any]], rate: float, *, reset: bool = False) -> Audio:
        """Return audio as `(channels, frames)`, float32, once the engine plays at its rate and channels.

        Raises:
            ValueError: the array has another form, or is not of floating-point numbers; the rate is none.
        """
        sound = np.atleast_2d(of_floats(audio, 1)).astype(np.float32, copy=False)
        channels, frames = sound.shape
        if 0 < frames <= _FEW < channels:
            raise ValueError(f"audio of shape {sound.shape}: expected (channels, frames); transpose it")
        form = replace(self._form, rate=_checked_rate(rate), channels=channels)
        if form != self._form:
            self._apply_pending()
            chain = Chain(self.preset, form)
            self._form = form
            self.restart(chain)
        elif reset:
            self.reset()
        return sound

    def _apply_pending(self) -> None:
        """Hand what `set` took to the chain that it was checked for; one that has left needs it no more."""
        for _ in range(len(self._pending)):
            chain, address, value = self._pending.popleft()
            if chain is self._chain:
                chain.set(address, value)


class _Leaving:
    """A chain on its way out: played beside the new one, delayed to line up where it is earlier, and faded."""

    def __init__(self, chain: Chain, new_delay: int, form: Format) -> None:
        self._chain = chain
        self._line = DelayLine(form.channels, max(new_delay - chain.delay, 0))
        # The new chain first speaks after its own delay; until then the old one plays on.
        self._wait = new_delay
        self._share = Fade(0.0, round(_CHANGE_MS * form.rate / 1000))

    @property
    def done(self) -> bool:
        """Whether the old chain contributes nothing any more."""
        return not self._wait and self._share.target == 1.0 and not self._share.left

    def close(self) -> None:
        """Free what the old chain holds."""
        self._chain.close()

    def fade(self, block: Audio, new: Audio) -> Audio:
        """Return the mix of both chains' sound of `block`, given the new one's; closes the old one when done."""
        old = self._line.process(self._chain.process(block))
        wait = min(self._wait, block.shape[1])
        self._wait -= wait
        if wait == block.shape[1]:
            return old
        self._share.set(1.0)
        shares = np.broadcast_to(self._share.next(block.shape[1] - wait), block.shape[1] - wait)
        mixed = crossfade(old, new, np.concatenate((np.zeros(wait, np.float32), shares)))
        if self.done:
            self._chain.close()
        return mixed


def _cut(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def _checked_rate(rate: float) -> int:
    """Return a rate in Hz as a whole number.

    Raises:
        PresetError: no preset plays at it.
    """
    whole = int(rate) if isinstance(rate, Real) and math.isfinite(rate) else 0
    if whole != rate or whole not in RATES:
        raise PresetError(f"a rate of {rate} Hz; expected {RATES.start} to {RATES.stop - 1} Hz, a whole number")
    return whole
