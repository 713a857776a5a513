"""What a stage of a chain is: audio in, audio of the same length out, later by a stated delay.

A stage is made from a `Format` and its settings, so that everything it allocates is allocated before the first block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value

Audio = NDArray[np.float32]
"""float32 `(channels, frames)`."""
Parts = tuple[Callable[[], object], ...]
"""Calls that each compile a part of what a stage compiles, apart from each other; the longest first."""


def as_audio(sound: NDArray[Any]) -> Audio:
    """Return a copy of `sound`, `(channels, frames)`, that is `Audio` with its rows in order.

    Raises:
        ValueError: it has another number of dimensions.
    """
    if np.ndim(sound) != 2:
        raise ValueError(f"audio of shape {np.shape(sound)}: expected (channels, frames)")
    audio = np.empty(np.shape(sound), np.float32)  # np.array keeps what stands for float32 in an array out of a pickle
    audio[...] = sound
    return audio


def of_floats(audio: NDArray[np.floating[Any]], least_dimensions: int = 2) -> NDArray[np.floating[Any]]:
    """Return audio that is of floating-point numbers and has two dimensions, or one where that is enough.

    Raises:
        ValueError: it is not, or has not.
    """
    found = np.asarray(audio)
    if not least_dimensions <= found.ndim <= 2 or not np.issubdtype(found.dtype, np.floating):
        forms = "(channels, frames)" + (" or (frames,)" if least_dimensions == 1 else "")
        raise ValueError(
            f"audio of shape {found.shape} and type {found.dtype}: expected floating-point numbers, {forms}"
        )
    return found


class StageError(RuntimeError):
    """A stage cannot be made or cannot go on; the message names the stage and what to do."""


@dataclass(frozen=True)
class Format:
    """What a stage will be fed: sample rate in Hz and number of channels; on which device models run."""

    rate: int
    channels: int
    device: str = "cpu"


@dataclass(frozen=True)
class Keys:
    """What a stage may hold in a preset.

    `knobs` are its parameters, which can be set while it plays; `settings` what it is made of, fixed for its life.
    `open`: a plug-in could not be asked for its parameters, so any other key may be one of them. `hop_s`: the seconds
    of sound that it works on at a time; 0 if it takes each block as it comes.
    """

    knobs: tuple[Parameter, ...]
    settings: Mapping[str, Value] = field(default_factory=dict)
    open: bool = False
    hop_s: float = 0.0


class Stage(ABC):
    """One link of a chain.

    `parameters` is the stage's part of the parameter table, and `hop_s` its hop, where they are the same for all stages
    of a class (else `keys` returns them). Values are targets: a stage moves towards a new number over the parameter's
    `smoothing_ms`, at positions that depend on the count of samples only, never on how the sound was cut into blocks.
    `delay` is the latency in samples, constant for the stage's life. A stage that `reduces` turns sounds down, as a
    compressor, a gate or a noise filter does, and reports by how much. One that `compiles` has kernels of numba.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    hop_s: ClassVar[float] = 0.0
    reduces: ClassVar[bool] = False
    compiles: ClassVar[bool] = False
    delay: int = 0
    taken: int = 0

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return what a stage with these `values`, in a preset in `folder` (None: made in code), may hold.

        Raises:
            StageError: its settings do not make a stage.
        """
        return Keys(cls.parameters, hop_s=cls.hop_s)

    @classmethod
    def parts(cls, form: Format, values: Mapping[str, Value]) -> Parts:
        """Return what several processes can compile at once of a stage with these `values`; the rest is small."""
        return ()

    @abstractmethod
    def __init__(self, form: Format, values: Mapping[str, Value]) -> None: ...

    @abstractmethod
    def set(self, name: str, value: Value) -> None:
        """Set the target of a parameter (checked by the caller against the table); from the next block on."""

    @abstractmethod
    def process(self, block: Audio) -> Audio:
        """Return the stage's output for `block`: `(channels, frames)` in, the same shape out. Never writes `block`."""

    @property
    def status(self) -> str:
        """Why the stage has been left out of the sound, for people; empty while it plays."""
        return ""

    def read_reduction_db(self) -> float:
        """Return by how much it has turned its input down since the last call, in dB, 0 or less; any thread may."""
        return 0.0

    def snapshot(self) -> Mapping[str, Value]:
        """Return the settings that make this stage again as it is, where its parameters are not enough.

        Call it from the thread that feeds the stage.
        """
        return {}

    def hold(self) -> None:  # noqa: B027 - most stages make nothing ready in the background
        """From now on, take over nothing that was made ready in the background but what `take` names."""

    def take(self, number: int) -> None:
        """Take over change `number` with the next block, waiting until it is ready.

        Raises:
            StageError: it was not asked for, or cannot be made.
        """
        raise StageError(f"change {number}: this stage makes nothing ready in the background")

    def close(self) -> None:  # noqa: B027 - most stages hold nothing to free
        """Free threads and handles."""


def refuse_setting(name: str, settings: Collection[str]) -> None:
    """Check that what is set while a stage plays is none of its settings.

    Raises:
        StageError: it is one.
    """
    if name in settings:
        raise StageError(f"{name} is a setting of the stage: it changes with the preset, not while it plays")
