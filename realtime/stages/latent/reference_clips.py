"""What the latent stage takes from reference clips: a style, latents to morph to, a target speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gramophone.models.parameters import Value
from gramophone.models.style.gaussian import Gaussian, moments
from gramophone.realtime.dsp.resampler import demand_audible, mono, read_clip
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Codec, Series
from gramophone.realtime.stages.latent.encoder import audible
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, ZeroShotCodec

_ENOUGH = 4
"""Frames for each latent from which on a clip is long enough for a covariance."""
_COVARIANCE, _VARIANCES = 1.0, 0.5


@dataclass(frozen=True)
class LatentStyle:
    """The Gaussian of a clip's latents; `tilt` (0 to 1) is how much of it is matched (`models/style/transport.py`)."""

    gaussian: Gaussian
    tilt: float


@dataclass(frozen=True)
class ReferenceClips:
    """The style of `clip`, the latents `(n, D)` of `clip2` and the `target` speaker of `guest`; None for no clip.

    `warnings` are messages for the user about the clips.
    """

    style: LatentStyle | None
    second: Floats | None
    target: TargetSpeaker | None
    warnings: tuple[str, ...]

    @staticmethod
    def learn(codec: Codec, values: Mapping[str, Value], known: TargetSpeaker | None) -> ReferenceClips:
        """Analyse the clips that `values` name; takes seconds.

        A `known` target speaker is not computed again if the clip is the same.

        Raises:
            StageError: a clip cannot be read, or is empty or silent.
        """
        first, second = (_frames(codec, str(values[name])) for name in ("clip", "clip2"))
        style, warning = _style(first, codec, str(values["clip"])) if first else (None, "")
        target = _target(codec, str(values.get("guest", "")), known)
        warnings = (warning, target.warning if target and target is not known else "")
        return ReferenceClips(style, second.latents if second else None, target, tuple(filter(None, warnings)))


def _target(codec: Codec, clip: str, known: TargetSpeaker | None) -> TargetSpeaker | None:
    if not clip:
        return None
    if known and known.clip == Path(clip).name:
        return known
    return cast(ZeroShotCodec, codec).enrol(clip, mono(read_clip(clip, codec.rate)))


def _frames(codec: Codec, clip: str) -> Series | None:
    if not clip:
        return None
    series = codec.encode_clip(mono(demand_audible(clip, read_clip(clip, codec.rate))))
    if not len(series.powers):
        raise StageError(f"clip: {clip}: no sound in it")
    return series


def _style(series: Series, codec: Codec, clip: str) -> tuple[LatentStyle, str]:
    """Return a clip's style, and a warning or an empty text.

    Raises:
        StageError: no frame of it is audible.
    """
    active = series.latents[audible(series.powers, float(series.powers.max()))]
    frames, latents = active.shape
    if not frames:
        raise StageError(f"clip: {clip}: silent, so it has no style; expected a sound")
    gaussian = moments(active).gaussian()
    if frames >= _ENOUGH * latents:
        return LatentStyle(gaussian, _COVARIANCE), ""
    seconds = codec.hop / codec.rate
    return LatentStyle(gaussian, _VARIANCES), (
        f"{clip}: {frames * seconds:.2g} s of sound is too short for the covariance of its {latents} latents; "
        f"expected {_ENOUGH * latents * seconds:.2g} s or more. Only their means and variances are matched"
    )
