"""The clips of a style stage: a band layout, and the clips' styles in it. They are analysed by torch (`prepared`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gramophone.models.parameters import Value
from gramophone.models.style.style import Style, StyleGrid, blended
from gramophone.realtime.dsp.resampler import demand_audible, read_clip
from gramophone.realtime.kernels.arrays import Floats, packed
from gramophone.realtime.stages.prepared import prepared
from gramophone.realtime.stages.style.gains import GainPlan, plan_of


@dataclass(frozen=True)
class StyleLayout:
    """A band layout as it is played: its grid, the constants of its gains, and its windows.

    `analysis` `(N,)` and `synthesis` `(S,)` are windows; a frame is played `delay` samples late.
    """

    grid: StyleGrid
    plan: GainPlan
    analysis: Floats
    synthesis: Floats
    delay: int


@dataclass(frozen=True)
class StyleClips:
    """A band layout and the clips' styles in it; None for a clip that is not given.

    `wanted` are the parameters that the layout is made from: detail, low and high.
    """

    layout: StyleLayout
    wanted: tuple[float, float, float]
    styles: tuple[Style | None, Style | None]

    @staticmethod
    def learn(rate: int, values: Mapping[str, Value]) -> StyleClips:
        """Analyse the clips that `values` name.

        Raises:
            StageError: a clip cannot be read, or is silent.
        """
        detail, low, high = (float(values[name]) for name in ("detail", "low", "high"))
        first, second = (Path(str(values[name])) if values[name] else None for name in ("clip", "clip2"))
        return prepared(_learn, rate, (detail, low, high), first, second)

    def style(self, position: float) -> Style | None:
        """Return the style at `position` between the clips; where one is missing, the other's."""
        first, second = self.styles
        if first is None or second is None:
            return first or second
        if position in (0.0, 1.0):
            return second if position else first
        return blended(first, second, position)


def _learn(rate: int, wanted: tuple[float, float, float], *clips: Path | None) -> StyleClips:
    import torch

    from gramophone.models.style.style_bands import StyleBands

    detail, low, high = wanted
    with torch.inference_mode():
        bands = StyleBands(rate, round(detail), low, high)
        layout = StyleLayout(
            bands.grid,
            plan_of(bands),
            packed(bands.stft.window),
            packed(bands.overlap_add.window),
            bands.overlap_add.delay,
        )
        sounds = [demand_audible(str(clip), read_clip(str(clip), rate)) if clip else None for clip in clips]
        first, second = (None if sound is None else bands.learn(torch.from_numpy(sound)) for sound in sounds)
    return StyleClips(layout, wanted, (first, second))
