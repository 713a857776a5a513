"""The chain: named stages in order, each with bypass and a mix whose dry path is late by exactly the stage's delay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.dsp.smoothing import Amount, Fade, crossfade
from gramophone.realtime.parameter_table import (
    COMMON,
    chain_parameters,
    complete,
    hops_s,
    values_of,
    with_values,
)
from gramophone.realtime.stage import Audio, Format, Stage, StageError, as_audio
from gramophone.realtime.stage_registry import make_stage
from gramophone.realtime.stage_restart import LOUDEST, WHOLE, Make, RestartingStage

if TYPE_CHECKING:
    from gramophone.realtime.kernels.levels import Measure

_BYPASS, _MIX = COMMON


class Slot:
    """A stage's place in the chain: its name, bypass and mix, and its part of the chain's meter.

    It adds to `steps` what the chain calls, and keeps that up to date: what plays a block, what measures it, and the
    slot, to `correct` what the meter refuses. While the output is what the stage plays and nothing else, the first is
    the stage's own `process`, and the meter keeps the block for the dry path of a stage that is late. Otherwise it is
    the slot's `process`, which mixes.
    """

    def __init__(
        self, name: str, make: Make, form: Format, values: dict[str, Value], steps: list[Step], meter: BlockMeter
    ) -> None:
        self.name = name
        self.link = RestartingStage(make, form, values)
        self.dry = DelayLine(form.channels, self.link.delay) if self.link.delay else None
        self._bypass, self._mix = bool(values["bypass"]), float(values["mix"])
        self._wetness = Fade(self._target(), round(_MIX.smoothing_ms * form.rate / 1000))
        self._steps, self._part, self._meter, self._channels = steps, len(steps), meter, form.channels
        self._measure = meter.measure(self._part, LOUDEST)
        self._measure_and_keep = meter.measure(self._part, LOUDEST, self.dry)
        steps.append(self._step())

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
        self._steps[self._part] = self._step()

    @property
    def stage(self) -> Stage:
        """The stage that plays."""
        return self.link.stage

    def process(self, block: Audio) -> Audio:
        """Return the stage's output mixed with the aligned input: `(channels, frames)` in and out."""
        return self._mix_in(block, *self.link.process(block))

    def correct(self, block: Audio, output: Audio, ns: int) -> Audio:
        """Return what is to be played for a block and an output that the meter refused, measured where it is sound.

        The output is no sound, or one of both is no plain array, or the block is longer than any before.

        Raises:
            ValueError: the block has another number of channels than the chain.
        """
        block, output = as_audio(block), as_audio(output)
        if len(block) != self._channels:
            raise ValueError(f"audio of shape {block.shape}: expected ({self._channels}, frames)")
        self._make_room(block.shape[1])
        alone = self._plays_alone
        measure = self._measure_and_keep if alone else self._measure
        if not measure(output, block, ns) and alone:
            output = self._mix_in(block, *self.link.process_failure(block, output))
        self.update()
        return output

    def read_reduction_db(self) -> float:
        """Return by how much the stage has turned its input down since the last call; 0 while it is not in the mix."""
        reduction_db = self.stage.read_reduction_db()
        return reduction_db if self._target() and not self.link.status else 0.0

    def held(self) -> dict[tuple[str, str], Value]:
        """Return what the stage holds beside its parameters, by the stage's name and key."""
        return {(self.name, key): value for key, value in self.link.snapshot().items()}

    @property
    def _plays_alone(self) -> bool:
        return self._wetness.target == 1.0 and not self._wetness.left and self.link.is_whole

    def _step(self) -> Step:
        if self._plays_alone:
            return self.link.stage.process, self._measure_and_keep, self
        return self.process, self._measure, self

    def _mix_in(self, block: Audio, output: Audio, share: Amount) -> Audio:
        dry = block
        if self.dry:
            self._make_room(block.shape[1])
            self.dry.write(block)
            dry = self.dry.read(block.shape[1])
        if share is not WHOLE:
            output = crossfade(dry, output, share)
        output = crossfade(dry, output, self._wetness.next(block.shape[1]))
        self.update()
        return output

    def _make_room(self, frames: int) -> None:
        if self.dry and self.dry.make_room(frames):
            self._measure_and_keep = self._meter.measure(self._part, LOUDEST, self.dry)

    def _target(self) -> float:
        return 0.0 if self._bypass else self._mix


Step = tuple[Callable[[Audio], Audio], "Measure", Slot]


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
        self._steps: list[Step] = []
        self.meter = BlockMeter(len(self._preset.stages))
        try:
            for settings in self._preset.stages:
                values = dict(settings.values)
                make = partial(make_stage, settings.kind, form)
                self.slots[settings.name] = Slot(settings.name, make, form, values, self._steps, self.meter)
        except StageError as error:
            self.close()
            raise PresetError(f"{preset.where}: stage {settings.name!r}: {error}") from error
        self._takers = tuple(slot for slot in self if type(slot.stage).take is not Stage.take)
        self.delay = sum(slot.link.delay for slot in self)
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
        """The number of the change last taken over from the background, of each stage that takes any, by its name."""
        return {slot.name: slot.link.taken for slot in self._takers}

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
        before = perf_counter_ns()
        for play, measure, slot in self._steps:
            output = play(block)
            now = perf_counter_ns()
            if not measure(output, block, now - before):
                output = slot.correct(block, output, now - before)
            before = now
            block = output
        return block

    def close(self) -> None:
        """Free what the stages hold, and the slots, which hold the steps that hold them."""
        for slot in self:
            slot.link.close()
        self._steps.clear()
