"""A mosaic's layout as it is played: what torch makes of the rate and the window, prepared and kept."""

from __future__ import annotations

from typing import NamedTuple

from gramophone.realtime.kernels.arrays import Floats, packed
from gramophone.realtime.stages.mosaic.attacks import NoAttacks, no_attacks
from gramophone.realtime.stages.mosaic.speech import SpeechMemory, no_speech_yet
from gramophone.realtime.stages.mosaic.state import Shape, shape_of
from gramophone.realtime.stages.prepared import prepared


class LiveLayout(NamedTuple):
    """A `MosaicLayout` at `rate` Hz with synthesis windows of `hops` hops of `hop` samples.

    `window` `(N,)`, `dual` and `short` `(S,)` are its windows, `shape` its constants; `speech` is the detector and
    `attacks` their measurement before any input, so that a layout is for one player.
    """

    rate: int
    hops: int
    hop: int
    window: Floats
    dual: Floats
    short: Floats
    shape: Shape
    speech: SpeechMemory
    attacks: NoAttacks


def live_layout(rate: int, hops: int) -> LiveLayout:
    """Return a layout for one player."""
    return prepared(_layout, rate, hops)


def _layout(rate: int, hops: int) -> LiveLayout:
    from gramophone.models.style.mosaic import MosaicLayout, blur

    layout = MosaicLayout.of(rate, hops)
    window, dual, short = (packed(each) for each in (layout.window, layout.dual, layout.short))
    shape = shape_of(layout, packed(blur(len(layout.notes.weights))))
    speech = no_speech_yet(rate, len(layout.short), layout.hop)
    return LiveLayout(rate, hops, layout.hop, window, dual, short, shape, speech, no_attacks(layout))
