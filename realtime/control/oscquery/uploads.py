"""Sounds over HTTP: clips of the user's own come in, clips and takes go out, as the page and its token allow.

A clip is the body of a POST to `/ui/sounds?name=mary`, the bytes of a sound file of any kind that can be read. It is
written beside the clips as it comes, at most `MOST_BYTES`, and read in a process of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gramophone.presets.clips import ClipError, OwnClip, clip_called, own_clips
from gramophone.realtime.control.oscquery.app import Guard
from gramophone.realtime.control.performance.clips import OwnClips
from gramophone.realtime.control.performance.takes import sound_of, takes

MOST_BYTES = 100_000_000
"""Ten minutes of a 48 kHz WAV in 24 bits, stereo, take 173 MB; as FLAC, Ogg or MP3 an hour fits."""
_USUAL_NAME = "clip"
_MOST_SECONDS = 86_400.0


def clip_routes(clips: OwnClips, guard: Guard, headers: Mapping[str, str]) -> list[Route]:
    """Return the routes below `/ui/sounds`; every answer has `headers`."""

    async def listed(_request: Request) -> Response:
        return JSONResponse([_facts(clip) for clip in own_clips().values()], headers=headers)

    async def upload(request: Request) -> Response:
        try:
            part = clips.new_part()
        except ClipError as error:
            return _refused(507, str(error), headers)
        try:
            if why := await _receive(request, part):
                return _refused(413, why, headers)
            start_s, end_s = _seconds(request, "start") or 0.0, _seconds(request, "end")
            name = request.query_params.get("name", "").strip() or _USUAL_NAME
            clip = await asyncio.wrap_future(clips.add(part, name, start_s, end_s))
        except ClipError as error:
            return _refused(422, str(error), headers)
        finally:  # also where the client has gone
            with suppress(OSError):
                part.unlink()
        return JSONResponse(_facts(clip), 201, headers=headers)

    async def sound(request: Request) -> Response:
        clip = clip_called(request.path_params["name"])
        return FileResponse(clip.file, headers=headers) if clip else _refused(404, "there is no such clip", headers)

    return [
        Route("/ui/sounds", guard(listed), methods=["GET"]),
        Route("/ui/sounds", guard(upload), methods=["POST"]),
        Route("/ui/sounds/{name}", guard(sound), methods=["GET"]),
    ]


def take_routes(guard: Guard, headers: Mapping[str, str]) -> list[Route]:
    """Return the routes below `/ui/takes`: the list, and each sound, of which a player may ask for parts."""

    async def listed(_request: Request) -> Response:
        return JSONResponse([asdict(take) for take in takes()], headers=headers)

    async def sound(request: Request) -> Response:
        name, file = request.path_params["name"], request.path_params["file"]
        if not (path := sound_of(name, file)):
            return _refused(404, "there is no such sound", headers)
        kept_as = f"{name}-{file}" if "download" in request.query_params else None
        return FileResponse(path, headers=headers, media_type="audio/wav", filename=kept_as)

    return [
        Route("/ui/takes", guard(listed), methods=["GET"]),
        Route("/ui/takes/{name}/{file}", guard(sound), methods=["GET"]),
    ]


async def _receive(request: Request, part: Path) -> str:
    """Write the body of a request to a file; return why not, or an empty text."""
    too_long = f"larger than {MOST_BYTES // 1_000_000} MB: cut it, or send it as FLAC, Ogg or MP3"
    if int(request.headers.get("content-length", "0") or 0) > MOST_BYTES:
        return too_long
    size = 0
    try:
        with part.open("wb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > MOST_BYTES:
                    return too_long
                await asyncio.to_thread(file.write, piece)
    except OSError as error:
        return f"cannot be stored: {error.strerror}"
    return ""


def _seconds(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < _MOST_SECONDS:
        raise ClipError(f"{name}={text[:20]}: expected seconds")
    return seconds


def _facts(clip: OwnClip) -> dict[str, object]:
    return asdict(clip)


def _refused(status: int, why: str, headers: Mapping[str, str]) -> Response:
    return PlainTextResponse(f"{why}\n", status, headers=headers)
