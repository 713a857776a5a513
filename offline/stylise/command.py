"""`gramophone stylise`: one file in the style of another, as the live stages do it or by a slow method."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gramophone.offline.console import print_json, say, wrote
from gramophone.offline.data.audibility import demand_sound
from gramophone.offline.extras import need
from gramophone.offline.plotting.picture_file import demand_place
from gramophone.offline.progress import LossProgress, RenderProgress
from gramophone.offline.render import Rendered, RenderRequest, render_file
from gramophone.offline.render.render_file import demand_rate
from gramophone.offline.stylise.picture import draw_transfer
from gramophone.offline.stylise.second_pass import SecondPass
from gramophone.offline.stylise.transfer import TransferRequest, transfer
from gramophone.presets import Preset, StageSettings
from gramophone.presets.checks import Scalar
from gramophone.realtime.dsp.input_guard import InputGuard
from gramophone.realtime.files import AudioReader, AudioWriter, collected_remarks, read
from gramophone.realtime.stage import Audio

_BLOCK = 16_384


def run_live(content: Path, style: Path, out: Path, method: str, strength: float, device: str, *, json: bool) -> None:
    """Write `content` through the stage of a method that also plays live, `live` or `mosaic`, to `out`.

    A mosaic gets a second pass.

    Raises:
        SoundFileError: a sound cannot be read or written.
        NothingToHearError: the style is shorter than a second, silent, or broken.
    """
    demand_sound("STYLE", *read(style))
    values: dict[str, str | float] = {"clip": str(style.resolve()), "strength": strength}
    with RenderProgress(json) as progress:
        if method == "mosaic":
            done = _mosaic(content, out, values, device, progress)
        else:
            done = render_file(content, out, _request("style", values, device), progress)
    if json:
        print_json({"out": str(out), "warnings": list(done.remarks)})
    else:
        wrote(out)
    if done.remarks:
        say(f"warning: {content}: {'; '.join(done.remarks)}")


def _request(kind: str, values: Mapping[str, Scalar], device: str) -> RenderRequest:
    return RenderRequest(Preset("stylise", (StageSettings(kind, kind, values),)), device=device)


def _mosaic(
    content: Path, out: Path, values: dict[str, str | float], device: str, progress: RenderProgress
) -> Rendered:
    """Write the mosaic stage's sound of `content`, with a second pass, to `out`."""
    with AudioReader(content) as reader:
        rate, channels, frames, metadata = reader.rate, reader.channels, reader.frames, reader.metadata
    demand_rate(content, rate)
    # What is remarked on meanwhile is all in the result.
    with collected_remarks(), tempfile.TemporaryDirectory() as folder:
        second = SecondPass(partial(_blocks, content), rate, channels)
        first = Path(folder) / "first.wav"
        done = render_file(content, first, _request("mosaic", {**values, "texture": second.texture}, device), progress)
        with AudioWriter(out, rate, channels, frames, metadata.made_by(done.made)) as writer:
            for block in second(partial(_blocks, first), float(values["strength"])):
                writer.write(block)
    return replace(done, remarks=(*done.remarks, *writer.remarks))


def _blocks(file: Path) -> Iterator[Audio]:
    guard = InputGuard()
    with AudioReader(file) as reader:
        yield from map(guard.process, reader.blocks(_BLOCK))


def run(content: Path, style: Path, out: Path, request: TransferRequest, *, overwrite: bool, json: bool) -> None:
    """Write `content` in the style of `style` by a slow method to `out`, of the content's length, rate and channels.

    A picture of the descent lies beside it.

    Raises:
        MissingLibraryError: the extra `offline` is not installed.
        SoundFileError: a sound cannot be read or written.
        StyliseError: there is no such method.
        PictureError: the folder cannot be written.
        ResultError: there is no folder, or the picture is there already, and not to be overwritten.
        NothingToHearError: a sound is shorter than a second, silent, or broken.
    """
    need("matplotlib")
    picture = demand_place(out, overwrite=overwrite)
    with AudioReader(content) as reader:
        metadata = reader.metadata.made_by(f"gramophone {version('gramophone')}")
        audio, rate = reader.read(reader.frames), reader.rate
    styled = read(style)
    with LossProgress(f"stylise by {request.method}", quiet=json) as progress:
        done = transfer((audio, rate), styled, request, progress)
    with AudioWriter(out, rate, len(audio), audio.shape[1], metadata) as writer:
        writer.write(np.ascontiguousarray(done.audio))
    draw_transfer({"content": (audio, rate), "style": styled, "result": (done.audio, rate)}, done.descent, picture)
    if json:
        report = {"out": str(out), "picture": str(picture), "steps": done.descent.steps, "stopped": not done.whole}
        print_json({**report, "losses": done.descent.curve, "warnings": list(writer.remarks)})
    else:
        start, end = (done.descent.curve[i]["all"] for i in (0, -1))
        print(f"loss {start:.3f} > {end:.3f} in {done.descent.steps} steps")
        wrote(out, picture)
        if not done.whole:
            print("stopped; call again to go on from there")
