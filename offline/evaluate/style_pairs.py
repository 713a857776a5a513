"""Which recordings judge the style stage: pairs of content and style, and English speech for counting words.

All are held out. They come in sets that share no recording: `dev` to tune on, `test` for the figures; `mosaic`, of
other pieces again, for the figures of the mosaic stage, which was tuned on pieces of `dev`. A pair is
fit for judging when its style recording is clearly closer to itself than to the content; that was looked at before any
output was made, for both taggers.

The default of a mosaic's texture was chosen on `mosaic`, so there is `unseen` beside it, which nothing was chosen on.
Its rule: of the albums' recordings of 40 s or more that were in no set (nor another version of one that was), the eight
shortest are content, the others style, either in the order of the CRC-32 of their names, from second 20; then four
voices, from prompts of no set. Each content takes the first style left that is of another album and fit by a contrast
of .3 for both inside taggers.

`further` is a set to choose defaults by, of recordings that are in no other set but for another passage of one guitar:
of the pieces of three more albums that last 58 s or longer, in the order of the CRC-32 of their names, the first six
are content, beside a recorded loop of tabla and that guitar, the others style; then four voices; fit as those above.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gramophone.offline.data.corpora import (
    CorporaError,
    english_transcripts,
    held_out_music,
    is_held_out,
    load,
    recordings,
)
from gramophone.offline.data.mono_audio import Sound

RATE = 48_000
SETS = ("dev", "test")
_HALVES = {"dev": 0, "test": 1, "mosaic": 1, "unseen": 1, "further": 0}
"""Which half of the held-out speech each set has."""

_CONTENT_S, _STYLE_S, _MORE_S = 10.0, 25.0, 10.0
_READING_S = 30.0
_PAUSE_S = 0.25
_SHORTEST_S = 0.8

PAIRS = {
    "dev": """
        english@0                     moscow@0
        italian@0                     english@40
        moscow@90                     french@0
        english@12                    wesnoth/elvish-theme@20
        moscow@60                     muldjord/chaos_god/song@30
        english@25                    singularity/Awakening@40
        french@40                     sectoid/Feelings/song@30
        wesnoth/loyalists@25          big-fish@30
        singularity/Nebula@30         italian@30
        wesnoth/sad@20                muldjord/armygeddon/song@30
        sectoid/Metal madness/guitar@30   wesnoth/northerners@20
        singularity/Coherence@40      wesnoth/traveling_minstrels@15
        """,
    "test": """
        english@0                     big-fish@0
        moscow@0                      italian@0
        french@0                      moscow@30
        english@12                    wesnoth/battle@20
        italian@40                    sectoid/War of freedom/song@90
        english@25                    singularity/Through Space@40
        russian@40                    wesnoth/love_theme@20
        wesnoth/the_deep_path@25      moscow@60
        singularity/By-Product@30     french@40
        wesnoth/knalgan_theme@20      muldjord/mutilated_mime/song@80
        sectoid/Escape from chaosland/guitar@30   wesnoth/the_dangerous_symphony@20
        singularity/Orbital Elevator@40   wesnoth/breaking_the_chains@20
        """,
    "mosaic": """
        wesnoth/frantic@20            singularity/Inevitable@30
        singularity/Deprecation@40    wesnoth/legends_of_the_north@20
        wesnoth/underground@20        muldjord/internal_degeneration/song@30
        wesnoth/vengeful@20           wesnoth/battle-epic@20
        singularity/Media Threat@30   wesnoth/northern_mountains@20
        muldjord/chaos_god/guitar@30  wesnoth/revelation@20
        sectoid/Feelings/guitar@30    singularity/Enemy Unknown@30
        wesnoth/knolls@20             sectoid/Metal madness/song@40
        english@50                    wesnoth/siege_of_laurelmor@20
        italian@60                    singularity/Advanced Simulacra@30
        russian@60                    wesnoth/wanderer@15
        french@50                     wesnoth/the_king_is_dead@20
        """,
    "unseen": """
        singularity/lose/March Thee to Dis@20   wesnoth/heroes_rite@20
        muldjord/mutilated_mime/guitar@20   wesnoth/weight_of_revenge@20
        singularity/win/Apex Aleph@20   wesnoth/into_the_shadows@20
        wesnoth/main_menu@20          sectoid/Escape from chaosland/song@20
        wesnoth/transience@20         singularity/A New Journey@20
        singularity/lose/Chimes They Fade@20   wesnoth/silvan_sanctuary@20
        muldjord/armygeddon/guitar@20   wesnoth/journeys_end@20
        sectoid/War of freedom/guitar@20   muldjord/internal_degeneration/guitar@20
        english@140                   wesnoth/casualties_of_war@20
        italian@120                   wesnoth/the_city_falls@20
        russian@120                   singularity/Aberrations@20
        french@120                    wesnoth/nunc_dimittis@20
        """,
    "further": """
        sonic-pi/loop_tabla@0         hyperrogue/hr3-jungle@20
        muldjord/chaos_god/guitar@80   warzone/track20@20
        fillets/rybky06@20            warzone/track24@20
        hyperrogue/hr-savino-ocean@20   warzone/track25@20
        warzone/track18@20            hyperrogue/hr-savino-palace@20
        hyperrogue/hr-savino-ivory@20   warzone/track3_enhanced@20
        hyperrogue/hr3-mirror@20      warzone/menu_enhanced@20
        fillets/rybky02@20            hyperrogue/hr-savino-caribbean@20
        english@70                    hyperrogue/hr3-desert@20
        italian@70                    warzone/track21@20
        moscow@150                    hyperrogue/hr3-hell@20
        french@70                     fillets/rybky03@20
        """,
}
"""Content and style, each as voice or piece `@` the second to start from."""

READINGS = {
    "dev": ("moscow@120", "wesnoth/loyalists@25", "singularity/Nebula@30", "muldjord/armygeddon/song@30"),
    "test": ("big-fish@60", "wesnoth/battle@20", "singularity/Through Space@40", "sectoid/War of freedom/song@90"),
}
"""The style of each reading."""


@dataclass(frozen=True)
class Pair:
    """A content and a style recording, mono at 48 kHz."""

    name: str
    content: Sound
    style: Sound
    more_style: Sound
    """Another ten seconds of the style recording: what closeness 1 sounds like."""

    speech: bool
    """Whether the content is speech."""


@dataclass(frozen=True)
class Reading:
    """Half a minute of English, what it says, and a style to give it."""

    speech: Sound
    text: str
    style: Sound


def load_pairs(which: str) -> Iterator[Pair]:
    """Yield the pairs of one of `PAIRS` in order.

    Raises:
        CorporaError: the recordings are not there, or one is too short.
    """
    for line in PAIRS[which].strip().splitlines():
        content, style = (spot.strip() for spot in line.strip().split("  ", 1))
        sound = _cut(style, which, _STYLE_S + 1 + _MORE_S)
        yield Pair(
            name=f"{content} > {style}",
            content=_cut(content, which, _CONTENT_S),
            style=sound[: round(_STYLE_S * RATE)],
            more_style=sound[round((_STYLE_S + 1) * RATE) :],
            speech="/" not in content,
        )


def load_readings(which: str) -> Iterator[Reading]:
    """Yield the readings of `dev` or `test`, one after another from the English held-out prompts.

    Raises:
        CorporaError: the recordings are not there, or one is too short.
    """
    texts = english_transcripts()
    prompts = ((sound, texts[name]) for name, sound in _speech("english", which) if name in texts)
    for style in READINGS[which]:
        speech, text = _joined(prompts, _READING_S)
        yield Reading(speech, text, _cut(style, which, _STYLE_S))


def _cut(spot: str, which: str, seconds: float) -> Sound:
    """Return `seconds` of a voice or a piece of music from the second after `@`.

    Raises:
        CorporaError: it is not there, or ends before.
    """
    name, _, start = spot.partition("@")
    if "/" in name:
        path = held_out_music(name)
        source, sound = str(path), load(path, RATE, float(start), seconds)
    else:
        joined, _ = _joined(((prompt, "") for _, prompt in _speech(name, which)), float(start) + seconds)
        source, sound = f"the voice {name}", joined[round(float(start) * RATE) :][: round(seconds * RATE)]
    if len(sound) < round(seconds * RATE):
        raise CorporaError(f"{source}: {len(sound) / RATE:.1f} s from second {start} on, expected {seconds:.1f} s")
    return sound


def _speech(voice: str, which: str) -> Iterator[tuple[str, Sound]]:
    """Yield name and sound of a voice's held-out recordings; the next bit of the checksum tells dev from test."""
    for name, path in recordings(voice).items():
        if is_held_out(name) and zlib.crc32(name.encode()) // 4 % 2 == _HALVES[which]:
            sound = load(path, RATE)
            if len(sound) >= _SHORTEST_S * RATE:
                yield name, sound


def _joined(prompts: Iterator[tuple[Sound, str]], seconds: float) -> tuple[Sound, str]:
    """Return as many prompts as fill `seconds`, with pauses between, and what they say."""
    sounds: list[Sound] = []
    texts: list[str] = []
    while sum(map(len, sounds)) < seconds * RATE and (prompt := next(prompts, None)):
        sounds += [prompt[0], np.zeros(round(_PAUSE_S * RATE), np.float32)]
        texts.append(prompt[1])
    return np.concatenate(sounds), " ".join(texts)
