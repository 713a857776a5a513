"""A descent kept in a file until it is done, for a next call to go on from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from gramophone.offline.stylise.descent import Descent
from gramophone.presets.atomic import atomic_write


def store(path: Path, fingerprint: str, descent: Descent) -> None:
    """Write a descent, whole or not at all; `fingerprint` is a hash of all that it depends on."""
    note = json.dumps({"fingerprint": fingerprint, "steps": descent.steps, "curve": descent.curve})
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(file, x=descent.x.detach().cpu().numpy(), note=np.array(note))


def restore(path: Path | None, fingerprint: str, device: str) -> Descent | None:
    """Return the descent kept in `path` if it is this one's; what cannot be read is begun anew."""
    if path is None or not path.is_file():
        return None
    with suppress(OSError, ValueError, KeyError), np.load(path, allow_pickle=False) as kept:
        note = json.loads(str(kept["note"]))
        if note["fingerprint"] == fingerprint:
            return Descent(torch.from_numpy(kept["x"]).to(device), note["steps"], note["curve"])
    return None
