"""`gramophone stylise`: a result and a picture of its descent, from two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gramophone.offline.console import print_json, wrote
from gramophone.offline.extras import need
from gramophone.offline.progress import LossProgress
from gramophone.offline.stylise.method import StyliseError
from gramophone.offline.stylise.picture import draw_transfer
from gramophone.offline.stylise.transfer import TransferRequest, transfer
from gramophone.realtime.files import AudioWriter, read


def run(content: Path, style: Path, out: Path, request: TransferRequest, *, json: bool) -> None:
    """Write `content` in the style of `style` to `out`, of the content's length, rate and channels.

    Raises:
        MissingLibraryError: the extra `offline` is not installed.
        SoundFileError: a sound cannot be read or written.
        StyliseError: there is no such method, or no folder to write into.
        NothingToHearError: a sound is shorter than a second, silent, or broken.
    """
    need("matplotlib")
    if not out.parent.is_dir():
        raise StyliseError(f"{out}: no folder {out.parent} to write into")
    audio, rate = read(content)
    styled = read(style)
    with LossProgress(f"stylise by {request.method}", quiet=json) as progress:
        done = transfer((audio, rate), styled, request, progress)
    with AudioWriter(out, rate, len(audio), audio.shape[1]) as writer:
        writer.write(np.ascontiguousarray(done.audio))
    picture = out.with_suffix(".png")
    draw_transfer({"content": (audio, rate), "style": styled, "result": (done.audio, rate)}, done.descent, picture)
    if json:
        report = {"out": str(out), "picture": str(picture), "steps": done.descent.steps, "stopped": not done.whole}
        print_json({**report, "losses": done.descent.curve})
    else:
        start, end = (done.descent.curve[i]["all"] for i in (0, -1))
        print(f"loss {start:.3f} > {end:.3f} in {done.descent.steps} steps")
        wrote(out, picture)
        if not done.whole:
            print("stopped; call again to go on from there")
