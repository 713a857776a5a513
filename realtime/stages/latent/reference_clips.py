"""What clips teach a latent stage: one's style, the other's latents to morph to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from gramophone.models.parameters import Value
from gramophone.models.style.gaussian import Gaussian, moments
from gramophone.realtime.dsp.clip_reader import read_clip
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Codec, Series
from gramophone.realtime.stages.latent.encoder import audible
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, ZeroShotCodec

_ENOUGH = 4
"""Frames for each latent from which on a clip tells how latents move together."""
_TOGETHER, _EACH = 1.0, 0.5


@dataclass(frozen=True)
class LatentStyle:
    """The Gaussian of a clip's latents; `tilt` says how much of it is matched (`models/style/transport.py`)."""

    gaussian: Gaussian
    tilt: float


@dataclass(frozen=True)
class ReferenceClips:
    """The style of `clip`, the latents `(n, D)` of `clip2` and who is heard in `target`, None where there is nothing.

    `remarks` are what people should know of it.
    """

    style: LatentStyle | None
    second: Floats | None
    target: TargetSpeaker | None
    remarks: tuple[str, ...]

    @staticmethod
    def learn(codec: Codec, values: Mapping[str, Value], known: TargetSpeaker | None) -> ReferenceClips:
        """Learn the clips that `values` name; who is `known` need not be met again. Takes its time.

        Raises:
            StageError: a clip cannot be read, or has no sound in it.
        """
        first, second = (_frames(codec, str(values[name])) for name in ("clip", "clip2"))
        style, remark = _style(first, codec, str(values["clip"])) if first else (None, "")
        target = _target(codec, str(values.get("guest", "")), known)
        remarks = (remark, target.remark if target and target is not known else "")
        return ReferenceClips(style, second.latents if second else None, target, tuple(filter(None, remarks)))


def _target(codec: Codec, clip: str, known: TargetSpeaker | None) -> TargetSpeaker | None:
    if not clip:
        return None
    if known and known.clip == Path(clip).name:
        return known
    return cast(ZeroShotCodec, codec).meet(clip, _mono(clip, codec.rate))


def _mono(clip: str, rate: int) -> Floats:
    return np.asarray(read_clip(clip, rate).mean(axis=0), np.float32)


def _frames(codec: Codec, clip: str) -> Series | None:
    if not clip:
        return None
    series = codec.learn(_mono(clip, codec.rate))
    if not len(series.powers):
        raise StageError(f"clip: {clip}: no sound in it")
    return series


def _style(series: Series, codec: Codec, clip: str) -> tuple[LatentStyle | None, str]:
    """Return a clip's style, and what to say of it."""
    heard = series.latents[audible(series.powers, float(series.powers.max()))]
    frames, latents = heard.shape
    if not frames:
        return None, f"{clip}: silent, so it teaches nothing"
    gaussian = moments(torch.from_numpy(heard)).gaussian()
    if frames >= _ENOUGH * latents:
        return LatentStyle(gaussian, _TOGETHER), ""
    seconds = codec.hop / codec.rate
    return LatentStyle(gaussian, _EACH), (
        f"{clip}: {frames * seconds:.2g} s of sound is too short for how its {latents} latents move together; "
        f"expected {_ENOUGH * latents * seconds:.2g} s or more. Each of them is matched by itself"
    )
