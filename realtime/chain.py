"""The chain: named stages in order, each with bypass and a mix whose dry path is late by exactly the stage's delay."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import perf_counter_ns

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.kernels.levels import level_meter
from gramophone.realtime.parameter_table import (
    COMMON,
    chain_parameters,
    complete,
    hops_s,
    values_of,
    with_values,
)
from gramophone.realtime.stage import Audio, Format, Stage, StageError
from gramophone.realtime.stage_registry import make_stage
from gramophone.realtime.stage_restart import LOUDEST_BITS, WHOLE, Make, RestartingStage

_BYPASS, _MIX = COMMON


class Slot:
    """A stage's place in the chain: its name, bypass and mix.

    While the output is what the stage plays and nothing else, `play` is the stage's `process`, and None otherwise: then
    `process` mixes. `dry` is the dry path of a stage that is late, which has to be written in either case.
    """

    def __init__(self, name: str, make: Make, form: Format, values: dict[str, Value]) -> None:
        self.name = name
        self.link = RestartingStage(make, form, values)
        self.dry = DelayLine(form.channels, self.link.delay) if self.link.delay else None
        self._bypass, self._mix = bool(values["bypass"]), float(values["mix"])
        self._wetness = Fade(self._target(), round(_MIX.smoothing_ms * form.rate / 1000))
        self.update()

    def set(self, key: str, value: Value) -> None:
        """Set bypass, mix or one of the stage's parameters, checked by the caller, from the next block on."""
        if key == _BYPASS.name:
            self._bypass = bool(value)
        elif key == _MIX.name:
            self._mix = float(value)
        else:
            self.link.set(key, value)
        self._wetness.set(self._target())
        self.update()

    def update(self) -> None:
        """Take note of a stage that was made again, or of a mix that has moved."""
        is_wet = self._wetness.target == 1.0 and not self._wetness.left
        self.play = self.link.stage.process if is_wet and self.link.is_whole else None

    @property
    def stage(self) -> Stage:
        """The stage that plays."""
        return self.link.stage

    def process(self, block: Audio, played: Audio | None = None) -> Audio:
        """Return the stage's output mixed with the aligned input: `(channels, frames)` in and out.

        `played` is what the stage has played of the block already, where that is no sound.
        """
        output, share = self.link.process(block) if played is None else self.link.process_failure(block, played)
        dry = block
        if self.dry:
            self.dry.write(block)
            dry = self.dry.read(block.shape[1])
        if share is not WHOLE:
            output = crossfade(dry, output, share)
        output = crossfade(dry, output, self._wetness.next(block.shape[1]))
        self.update()
        return output

    def read_reduction_db(self) -> float:
        """Return by how much the stage has turned its input down since the last call; 0 while it is not in the mix."""
        reduction_db = self.stage.read_reduction_db()
        return reduction_db if self._target() and not self.link.status else 0.0

    def held(self) -> dict[tuple[str, str], Value]:
        """Return what the stage holds beside its parameters, by the stage's name and key."""
        return {(self.name, key): value for key, value in self.link.snapshot().items()}

    def _target(self) -> float:
        return 0.0 if self._bypass else self._mix


class Chain:
    """The stages of a preset, made for one audio format.

    `delay` is the sum of the stages' delays in samples; bypassing a stage does not change it. `hops_s` are
    their hops in seconds. `values` holds the newest value of every parameter by its address, `stage.parameter`.
    `meter` has the stages' levels and times, in their order.

    Raises:
        PresetError: the preset does not fit the parameter table, or names a file that cannot be used.
        StageError: a stage cannot be made.
    """

    def __init__(self, preset: Preset, form: Format) -> None:
        self._preset = complete(preset)
        self.parameters = chain_parameters(preset)
        self.values = values_of(self._preset)
        self.slots: dict[str, Slot] = {}
        try:
            for settings in self._preset.stages:
                values = dict(settings.values)
                make = partial(make_stage, settings.kind, form)
                self.slots[settings.name] = Slot(settings.name, make, form, values)
        except StageError as error:
            self.close()
            raise PresetError(f"{preset.where}: stage {settings.name!r}: {error}") from error
        self.delay = sum(slot.link.delay for slot in self)
        self.meter = BlockMeter(len(self.slots))
        self._in_order, self._measure = tuple(enumerate(self)), level_meter()
        self.hops_s = hops_s(self._preset)
        self._targets = {
            f"{slot.name}.{key}": (slot, key) for slot in self for key in self._preset.stage(slot.name).values
        }

    def __iter__(self) -> Iterator[Slot]:
        """Iterate over the slots in the order that the sound takes."""
        return iter(self.slots.values())

    @property
    def preset(self) -> Preset:
        """The preset, with every parameter's newest value."""
        return with_values(self._preset, self.values)

    @property
    def status(self) -> dict[str, str]:
        """Why stages have been left out of the sound, by name; empty when all play."""
        return {slot.name: slot.link.status for slot in self if slot.link.status}

    @property
    def failures(self) -> dict[str, int]:
        """How often stages were made again because they played what is not finite or absurdly loud, by name."""
        return {slot.name: slot.link.failures for slot in self if slot.link.failures}

    @property
    def taken(self) -> dict[str, int]:
        """The number of the change that each stage has last taken over from the background."""
        return {slot.name: slot.link.taken for slot in self}

    def read_reductions_db(self) -> list[float]:
        """Return what each stage that `reduces` has turned down since the last call, in dB, in the chain's order."""
        return [slot.read_reduction_db() for slot in self if slot.stage.reduces]

    def hold(self) -> None:
        """From now on, let stages take over from the background only what `take` names."""
        for slot in self:
            slot.link.hold()

    def take(self, name: str, number: int) -> None:
        """Let stage `name` take over change `number` with the next block, waiting until it is ready.

        Raises:
            StageError: it was not asked for, or cannot be made.
        """
        self.slots[name].link.take(number)

    def snapshot(self) -> Preset:
        """Return the preset with what its stages hold beside parameters. Call it from the thread that feeds them."""
        return self.preset.with_values({key: value for slot in self for key, value in slot.held().items()})

    def set(self, address: str, value: Value) -> None:
        """Set the parameter at `stage.parameter`, from the next block on, in the thread that feeds the stages.

        `value` has been checked: `Engine.set` and the controller do so once, before it reaches the audio thread.
        """
        self.values[address] = value
        slot, key = self._targets[address]
        slot.set(key, value)

    def process(self, block: Audio) -> Audio:
        """Pass `block`, `(channels, frames)`, through every stage; never writes `block`.

        It is one loop that calls no more than it must, as live audio finds all that it touches in cold memory.
        """
        measure, figures = self._measure, self.meter.figures
        before = perf_counter_ns()
        for part, slot in self._in_order:
            play = slot.play
            output = play(block) if play else slot.process(block)
            now = perf_counter_ns()
            is_sound = measure(output, LOUDEST_BITS, figures, part, now - before)
            before = now
            if play:
                if not is_sound:
                    output = slot.process(block, output)
                elif slot.dry:
                    slot.dry.write(block)
            block = output
        return block

    def close(self) -> None:
        """Free what the stages hold."""
        for slot in self:
            slot.link.close()
