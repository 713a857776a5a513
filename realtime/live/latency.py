"""Latency for people: its parts, the one choice between quality and delay, and the measured way from mouth to ear."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from statistics import median

from gramophone.realtime.live.loopback import NONE_CAME
from gramophone.realtime.live.status import Status, budget_blocks

_CLICKS = 3
_CLICK_S = 4.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class DelayChoice:
    """A choice between quality and delay: the block in frames, and spare blocks (None: as many as the chain needs)."""

    name: str
    block: int
    spare: int | None
    description: str


DELAY_CHOICES = (
    DelayChoice("shortest", 64, 0, "for a quiet machine and a preset of effects; drop-outs are likely with a model"),
    DelayChoice("short", 128, None, "for a machine with nothing else to do"),
    DelayChoice("balanced", 256, None, "for most machines"),
    DelayChoice("safe", 512, None, "for a machine that does other work beside"),
    DelayChoice("safest", 1024, 1, "for recording rather than playing"),
)


def delay_parts_ms(status: Status, spare: int | None) -> dict[str, float]:
    """Return the parts of the latency in ms: collecting a block, the worker's time, the stages, the device's buffer.

    `sum` is all of them; all are 0 while there is no device.
    """
    rate, block = status["rate"], max(int(status["block"]), 1)
    samples = {
        "block": block,
        "work": budget_blocks(status, spare, block) * block,
        "stages": int(status["delay"]),
        "device": int(status["held"]),
    }
    parts = {name: round(1000 * count / rate, 2) if rate else 0.0 for name, count in samples.items()}
    return parts | {"sum": round(1000 * sum(samples.values()) / rate, 2) if rate else 0.0}


def delay_of_choice_ms(choice: DelayChoice, status: Status) -> float:
    """Return the latency in ms that a choice would have with the chain and the device that play; 0 without a device."""
    rate = status["rate"]
    whole = (1 + budget_blocks(status, choice.spare, choice.block)) * choice.block + status["delay"] + status["held"]
    return round(1000 * whole / rate, 2) if rate else 0.0


@dataclass(frozen=True)
class MouthToEar:
    """`samples` from an input's converter to an output's, at `rate` Hz; `spread` between the clicks, in samples.

    `device` is the part of it that the device takes from output to input.
    """

    samples: int
    device: int
    spread: int
    rate: int

    @property
    def ms(self) -> float:
        """The time in ms."""
        return round(1000 * self.samples / self.rate, 2)


class MeasureError(RuntimeError):
    """The way from mouth to ear cannot be measured; the message says why and what to do."""


def measure_mouth_to_ear(status: Status, spare: int | None) -> MouthToEar:
    """Measure the way from mouth to ear with three clicks, from the outputs back to the inputs; the sound stops for it.

    Raises:
        MeasureError: no device is open, it has gone meanwhile, or no click came back.
    """
    found = [_device_samples(status) for _ in range(_CLICKS)]
    rate, block = int(status["rate"]), max(int(status["block"]), 1)
    if not rate:
        raise MeasureError("the sound device has gone")
    device = int(median(found))
    inside = budget_blocks(status, spare, block) * block + int(status["delay"] + status["held"])
    return MouthToEar(device + inside, device, int(max(found) - min(found)), rate)


def _device_samples(status: Status) -> float:
    """Return how many samples a click took from output to input."""
    if not status["rate"]:
        raise MeasureError("no sound device is open")
    status["probe"] = asked = max(status["probe"], status["probe_done"]) + 1
    pause = threading.Event()
    for _ in range(round(_CLICK_S / _LOOK_S)):
        if status["probe_done"] >= asked:
            break
        pause.wait(_LOOK_S)
    else:
        raise MeasureError("the sound device gives no blocks")
    if status["probe_samples"] == NONE_CAME:
        raise MeasureError("no click came back: connect an output to an input with a cable, or turn the speakers up")
    return status["probe_samples"]
