"""Models of other people as TorchScript files, in the form that nn~ plays: what one holds, and whether it may run.

A TorchScript file is a program. It runs once somebody has trusted it (`gramophone models FILE --trust`): then it is
loaded and tried in a process of its own, and what it is like is kept under the hash of its contents. Whoever turns the
knobs reads that record only; the program itself runs where the sound is made. A file that changes has another hash, and
has to be trusted again.

The form is that of nn~ (acids-ircam/nn_tilde): the methods `encode` and `decode` map `(1, C, T)` to `(1, D, T / R)` and
back; buffers `encode_params` and `decode_params` hold input channels, input ratio, output channels, output ratio; the
names of `get_attributes` have functions `get_NAME` and `set_NAME`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gramophone.models.checkpoint import Card
from gramophone.presets.atomic import atomic_write
from gramophone.presets.clips import data_folder
from gramophone.presets.hashed_files import sha256_of
from gramophone.realtime.stage import StageError
from gramophone.realtime.system.child_call import ChildCallError, call_in_child

KIND = "torchscript"
NAMED = "named"
"""The key of a card's notes under which it says what each latent is about."""
_TRIAL_S = 60.0
"""How long a file may take to be loaded and tried."""


@dataclass(frozen=True)
class TorchScriptModel:
    """What a trusted file is like.

    `rate` in Hz; `hop` samples a frame; `latents` numbers a frame; `inputs` and `outputs` channels of sound; `delay` in
    samples, as measured from its input to its output; `attributes` are its own settings with their values. `names` say
    what each latent is about, where that has been measured; `notes` how well.
    """

    rate: int
    hop: int
    latents: int
    inputs: int
    outputs: int
    delay: int
    attributes: dict[str, float | bool]
    names: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def card(self) -> Card:
        """Return the card of a model of ours that is like it.

        The names describe its latents, and do not name their parameters: those are the same on machines that have not
        measured them.
        """
        notes = {"attributes": self.attributes, NAMED: self.names, **self.notes}
        return Card(self.rate, self.hop, self.delay, licence="its author's", notes=notes)


def trust(path: Path) -> TorchScriptModel:
    """Try a file in a process of its own, and let it run from now on; return what it is like.

    Raises:
        StageError: it cannot be read, hangs, ends its process, or is no model that the latent stage can play.
    """
    from gramophone.realtime.stages.latent.torchscript_trial import tried

    demand_archive(path)
    try:
        found = TorchScriptModel(**call_in_child(tried, str(path), timeout_s=_TRIAL_S, most_bytes=None))
    except ChildCallError as error:
        raise StageError(f"{path}: could not be tried: {error}") from None
    except ValueError as error:
        raise StageError(f"{path}: {error}") from None
    _keep(path, found)
    return found


def name_latents(path: Path, names: Sequence[str], notes: Mapping[str, Any]) -> None:
    """Keep what the latents of a trusted file are about, and how that was measured.

    Raises:
        StageError: it has not been trusted.
    """
    _keep(path, replace(trusted(path), names=tuple(names), notes=dict(notes)))


def _keep(path: Path, found: TorchScriptModel) -> None:
    record = _record(path)
    record.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(record) as part:
        part.write_text(json.dumps(asdict(found)), "utf-8")


def trusted(path: Path) -> TorchScriptModel:
    """Return what a file is like that has been trusted; it is not run for that.

    Raises:
        StageError: it has not been, or has changed since; the message says how to.
    """
    demand_archive(path)
    try:
        kept: dict[str, Any] = json.loads(_record(path).read_text("utf-8"))
        return TorchScriptModel(**kept | {"names": tuple(kept.get("names", ()))})
    except (OSError, ValueError, TypeError):
        raise StageError(
            f"{path}: a TorchScript file is a program, and this one has not been trusted yet; "
            f"if you know where it comes from: gramophone models '{path}' --trust"
        ) from None


def demand_archive(path: Path) -> None:
    """Check that a file can be TorchScript; it is not run for that.

    Raises:
        StageError: it is no zip archive, or cannot be read.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise StageError(f"{path}: not a TorchScript file (which is a zip archive)")
    except OSError as error:
        raise StageError(f"{path}: {error.strerror}") from None


def _record(path: Path) -> Path:
    """Return where what is known of a file is kept."""
    try:
        return data_folder() / "trusted" / f"{sha256_of(path)}.json"
    except OSError as error:
        raise StageError(f"{path}: {error.strerror}") from None
