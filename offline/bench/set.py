"""Bench: hours of a set, faster than they pass: whether memory is flat, and the output in step with the input.

A script sets parameters, bypasses stages, morphs, changes clips and presets, mutes and panics all the while.
In the first half presets change now and then; in the second half one chain lives to the end.
"""

from __future__ import annotations

import logging
import resource
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Value
from gramophone.presets import CLIPS, Preset, StageSettings, load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.morph import Morph
from gramophone.realtime.control.morph import play as play_preset
from gramophone.realtime.files import read
from gramophone.realtime.live.player import Player
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.realtime_priority import share_heap

_RATE, _BLOCK = 48_000, 4096
_SCENE_S = 5.0
_SCENES_PER_CHECK = 120
_MORPH_STEPS = 20
_SETTLING_S, _COMPARED_S = 30.0, 1.0
"""First the style stage, which keeps the loudness of some seconds, has to forget what it was doing."""
_SEARCHED = 1 << 14
"""The longest lag in samples that is looked for."""
_WARM = 1 / 8
"""The share of the set after which libraries have asked for all that they keep."""
_CLIPS = ("choir.flac", "strings.flac", "drums.flac", "organ.flac", "flute.flac", "old-record.flac")


def measure(hours: float, preset: str | None) -> dict[str, object]:
    """Return memory by the hour, lags of the output, samples that were not finite, and what went wrong.

    `preset` None is a light chain of style, reverb and gain, on which four hours take minutes.
    """
    share_heap()
    chosen = complete(load(preset)) if preset else _light("light", 0.3)
    warnings = _Warnings()
    logging.getLogger("gramophone").addHandler(warnings)
    began = time.monotonic()
    performer = _Performer(chosen, hours * 3600)
    try:
        performer.perform()
    finally:
        performer.close()
        logging.getLogger("gramophone").removeHandler(warnings)
    took = time.monotonic() - began
    return {
        "preset": chosen.name,
        "hours": hours,
        "times_real_time": round(performer.played / _RATE / took, 1),
        "did": dict(sorted(performer.did.items())),
        **performer.memory(),
        "frames_in_minus_out": performer.played - performer.returned,
        "lags_minus_delay": sorted(set(performer.lags)),
        "worst_difference_in_step": float(f"{max(performer.differences):.1e}"),
        "checks": len(performer.lags),
        "non_finite_samples": performer.non_finite,
        "peak": round(performer.peak, 2),
        "complaints": len(warnings.said),
        "first_complaint": warnings.said[0] if warnings.said else "",
    }


def _light(name: str, wet: float) -> Preset:
    stages = (
        StageSettings("style", "style", {"clip": str(CLIPS / _CLIPS[0]), "detail": 16.0}),
        StageSettings("hall", "reverb", {"wet": wet}),
        StageSettings("level", "gain", {"gain": -3.0}),
    )
    return complete(Preset(name, stages))


class _Performer:
    """A player, its controller, and a script that sets parameters; `played` and `returned` count frames."""

    def __init__(self, preset: Preset, seconds: float) -> None:
        self._home, self._away = preset, _light("other", 0.6)
        self._player = Player(preset, Format(_RATE, 2, "cpu"))
        self._controller = Controller(preset, _Direct(self._player), patience_s=600)
        self._sound, self._heard = _sound(), np.zeros((2, 0), np.float32)
        self._frames = round(seconds * _RATE)
        self._random = np.random.default_rng(0)
        self._actions = (self._turn, self._bypass, self._morph, self._clip, self._switch, self._panic)
        self._memory: list[tuple[float, float]] = []
        self.played = self.returned = self.non_finite = 0
        self.peak = 0.0
        self.lags: list[int] = []
        self.differences: list[float] = []
        self.did: dict[str, int] = {}

    def perform(self) -> None:
        """Play scene after scene, each begun with an action, and check memory and alignment now and then."""
        scene = 0
        self._check()
        while self.played < self._frames:
            changes = scene % _SCENES_PER_CHECK == _SCENES_PER_CHECK // 2 and self.played < self._frames / 2
            action = self._change if changes else self._actions[scene % len(self._actions)]
            self._do(action.__name__.strip("_"), action)
            self._play(_SCENE_S)
            self._memory.append((self.played / _RATE / 3600, _resident_mib()))
            scene += 1
            if not scene % _SCENES_PER_CHECK:
                self._check()
        self._check()

    def memory(self) -> dict[str, float]:
        """Return memory at the start and the end, and its slope in between, once warm."""
        warm = self._memory[int(len(self._memory) * _WARM) :]
        hours, mib = np.array(warm).T
        slope = float(np.polyfit(hours, mib, 1)[0]) if len(warm) > 1 else 0.0
        return {
            "memory_warm_mib": round(warm[0][1], 1),
            "memory_end_mib": round(warm[-1][1], 1),
            "memory_most_mib": round(float(mib.max()), 1),
            "memory_slope_mib_per_hour": round(slope, 2),
        }

    def close(self) -> None:
        """End the player's threads."""
        self._player.close()

    def _do(self, name: str, action: object) -> None:
        assert callable(action)
        action()
        self.did[name] = self.did.get(name, 0) + 1

    def _turn(self) -> None:
        numbers = [address for address, knob in self._controller.parameters.items() if knob.is_number]
        for address in self._random.choice(numbers, 3):
            self._controller.set_0to1(str(address), float(self._random.uniform()))

    def _bypass(self) -> None:
        stage = self._random.choice([stage.name for stage in self._controller.preset.stages])
        self._controller.set(f"{stage}.bypass", bool(self._random.integers(2)))

    def _morph(self) -> None:
        start, end = self._controller.preset, self._home
        way = Morph(start, end)
        for step in range(1, _MORPH_STEPS + 1):
            play_preset(self._controller, way.at(step / _MORPH_STEPS))
            self._play(_SCENE_S / _MORPH_STEPS)

    def _clip(self) -> None:
        if "style.clip" in self._controller.parameters:
            self._controller.set("style.clip", str(CLIPS / self._random.choice(_CLIPS)))

    def _switch(self) -> None:
        for switch in ("mute", "bypass"):
            self._controller.set(switch, True)
            self._play(0.5)
            self._controller.set(switch, False)

    def _panic(self) -> None:
        self._controller.set("panic", True)
        self._play(0.1)
        self._player.refresh(self._player.prepare(self._player.engine.preset))

    def _change(self) -> None:
        self._home, self._away = self._away, self._home
        self._controller.change(self._home)

    def _check(self) -> None:
        """Compare input and output with the chain in place and transparent, then leave all as it was."""
        before = self._controller.preset
        for stage in before.stages:
            self._controller.set(f"{stage.name}.bypass", stage.name != "style")
        for address, value in (("strength", 0.0), ("gain", 0.0), ("mix", 1.0)):
            self._controller.set(f"style.{address}", value)
        self._play(_SETTLING_S)
        start = self.played
        output = self._play(_COMPARED_S)
        reach = np.arange(start - _SEARCHED, start + output.shape[1])
        lag = _lag(self._sound[0, reach % self._sound.shape[1]], output[0])
        self.lags.append(lag - self._player.delay)
        in_step = self._sound[:, (np.arange(output.shape[1]) + start - self._player.delay) % self._sound.shape[1]]
        self.differences.append(float(np.abs(output - in_step).max()))
        play_preset(self._controller, before)

    def _play(self, seconds: float) -> Audio:
        """Play on for whole blocks; return the output."""
        made = []
        for _ in range(max(round(seconds * _RATE / _BLOCK), 1)):
            places = np.arange(self.played, self.played + _BLOCK) % self._sound.shape[1]
            output = self._player.process(self._sound[:, places])
            self.played += _BLOCK
            self.returned += output.shape[1]
            peak = float(np.abs(output).max())
            if np.isfinite(peak):
                self.peak = max(self.peak, peak)
            else:
                self.non_finite += int(output.size - np.isfinite(output).sum())
            made.append(output)
        return np.concatenate(made, axis=1)


class _Direct:
    """The controller's sink: the player itself, fed only while no change is under way."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Set parameters and switches."""
        for address, value in changes.items():
            self._player.switch(address, bool(value)) if address in SWITCHES else self._player.set(address, value)

    def change(self, preset: Preset) -> None:
        """Fade over to a preset."""
        self._player.change(self._player.prepare(preset))


class _Warnings(logging.Handler):
    """Keeps the beginning of each warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: deque[str] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.said.append(record.getMessage())


def _sound() -> Audio:
    """Return a voice and, on the other channel, a song, of the same length."""
    import soxr

    channels = []
    for name in ("voice.flac", "vocals.flac"):
        sound, rate = read(CLIPS / name)
        channels.append(soxr.resample(sound[0], rate, _RATE))
    frames = min(len(channel) for channel in channels)
    return np.stack([channel[:frames] for channel in channels]).astype(np.float32)


def _lag(known: NDArray[np.float32], heard: NDArray[np.float32]) -> int:
    """Return by how many samples `heard` is later than the last of `known`, by the peak of their correlation."""
    size = 1 << (len(known) + len(heard) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(known, size) * np.fft.rfft(heard, size).conj(), size)
    return len(known) - len(heard) - int(np.argmax(product[: len(known) - len(heard) + 1]))


def _resident_mib() -> float:
    """Return the memory that the process holds; where the system does not say, the most that it ever held."""
    figures = Path("/proc/self/statm")
    if figures.is_file():
        return int(figures.read_text().split()[1]) * resource.getpagesize() / (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
