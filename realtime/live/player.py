"""The player: an engine and the switches beside its chain, set by events.

What it plays depends only on the blocks and on the events between them. So a recording of both can be replayed bit for
bit.
"""

from __future__ import annotations

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import Preset
from gramophone.realtime.chain import Chain
from gramophone.realtime.dsp.delay_line import LONGEST_DELAY, DelayLine
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.engine import Engine
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.switches import SWITCHES

_SWITCH_MS = 10.0
_WARM_UP_S = 0.25
_WARM_UP_BLOCK = 256
_MOVE_MS = 50.0
"""How long the dry sound takes to fade to another latency: as long as the engine takes to another chain."""


class Player:
    """A preset playing, with `SWITCHES`. One thread calls everything but `prepare`.

    With `warm_up`, a quarter of a second of silence is processed before the first block: what libraries put off until
    they are used for the first time is done then. Without it, the first block is the first that the engine processes,
    as in `gramophone render`.

    Raises:
        PresetError: the preset does not fit.
    """

    def __init__(self, preset: Preset, form: Format, *, warm_up: bool = True) -> None:
        self._engine = Engine(preset, form.rate, form.channels, form.device)
        self._form = form
        self._dry = _AlignedDry(form, self._engine.delay)
        self._wetness = self._fade(1.0, _SWITCH_MS)
        self._loudness = self._fade(1.0, _SWITCH_MS)
        self._on: set[str] = set()
        self._is_wet = True
        """Whether the output is the chain's sound as it is, with no fade under way."""
        silence = np.zeros((form.channels, _WARM_UP_BLOCK), np.float32)
        for _ in range(round(_WARM_UP_S * form.rate / _WARM_UP_BLOCK) if warm_up else 0):
            self._engine.process(silence)
        self._engine.report()  # the time of warming up is no figure

    @property
    def engine(self) -> Engine:
        """The engine, for its report and its chain."""
        return self._engine

    @property
    def delay(self) -> int:
        """Latency in samples."""
        return self._engine.delay

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by its address, `stage.parameter`."""
        return self._engine.parameters

    @property
    def changing(self) -> bool:
        """Whether a fade to another preset is under way."""
        return self._engine.changing

    def prepare(self, preset: Preset) -> Chain:
        """Return a chain for `change` or `refresh`, made in the caller's thread and time.

        Raises:
            PresetError: the preset does not fit.
        """
        return self._engine.prepare(preset)

    def set(self, address: str, value: Value) -> None:
        """Set a parameter to a value that the controller has checked, from the next block on."""
        self._engine.chain.set(address, value)

    def change(self, chain: Chain) -> None:
        """Fade over to another chain."""
        self._engine.enter(chain)
        self._dry.move(chain.delay)
        self._is_wet = False

    def switch(self, name: str, on: bool) -> None:
        """Fade to the output of one of `SWITCHES`, or back. A momentary one stays on until `refresh`."""
        (self._on.add if on else self._on.discard)(name)
        outputs = {SWITCHES[name].output for name in self._on}
        self._loudness.set(0.0 if "silence" in outputs else 1.0)
        self._wetness.set(0.0 if "input" in outputs else 1.0)
        self._is_wet = False

    def refresh(self, chain: Chain | None) -> None:
        """End the momentary switches, with a chain that has processed nothing yet; with None, with that which plays."""
        if chain:
            self._engine.restart(chain)
        for name in [name for name in self._on if SWITCHES[name].momentary]:
            self.switch(name, False)

    def process(self, block: Audio) -> Audio:
        """Return the sound of `block`, `(channels, frames)`, `delay` samples late."""
        wet = self._engine.process(block)
        self._dry.write(block)
        if self._is_wet:
            return wet
        frames = block.shape[1]
        output = crossfade(self._dry.read(frames), wet, self._wetness.next(frames))
        loudness = self._loudness.next(frames)
        self._is_wet = self._dry.is_still and all(
            fade.target == 1.0 and not fade.left for fade in (self._wetness, self._loudness)
        )
        return output if loudness.ndim == 0 and loudness == 1 else output * loudness

    def close(self) -> None:
        """Free threads and handles."""
        self._engine.close()

    def _fade(self, start: float, ms: float) -> Fade:
        return Fade(start, round(ms * self._form.rate / 1000))


class _AlignedDry:
    """The dry sound, as late as a chain whose latency changes with the preset."""

    def __init__(self, form: Format, delay: int) -> None:
        self._history = DelayLine(form.channels, longest=LONGEST_DELAY)
        self._before = self._after = delay
        self._samples = round(_MOVE_MS * form.rate / 1000)
        self._share = Fade(1.0, self._samples)

    def move(self, delay: int) -> None:
        """Fade over to another latency in samples."""
        self._before, self._after = self._after, delay
        self._share = Fade(0.0, self._samples)
        self._share.set(1.0)

    @property
    def is_still(self) -> bool:
        """Whether no fade to another latency is under way."""
        return not self._share.left

    def write(self, block: Audio) -> None:
        """Append `block`, `(channels, frames)`."""
        self._history.write(block)

    def read(self, frames: int) -> Audio:
        """Return the dry sound in step with the chain's sound for the block written last, of `frames`."""
        new = self._history.read(frames, self._after)
        if not self._share.left:
            return new
        old = self._history.read(frames, self._before)
        return crossfade(old, new, np.asarray(self._share.next(frames)))
