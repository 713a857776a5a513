"""The bundled clips, made again from Debian's packages: `python -m gramophone.offline.recipes.clips OUT`.

Spoken clips are telephone prompts, samples come from Sonic Pi, and the rest are phrases written for this project
and played by FluidSynth. Authors and licences stand in `presets/README.md`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from pedalboard import (
    Chorus,
    Compressor,
    Delay,
    Distortion,
    Gain,
    HighpassFilter,
    HighShelfFilter,
    LowpassFilter,
    LowShelfFilter,
    PeakFilter,
    Plugin,
    Reverb,
)

from gramophone.offline.data.fluidsynth import synthesise
from gramophone.offline.data.recording import DataError
from gramophone.offline.extras import MissingLibraryError, need
from gramophone.offline.recipes import phrases
from gramophone.offline.recipes.phrases import Phrase
from gramophone.realtime.system.cache_folder import cache_folder

Mono = NDArray[np.float32]

RATE = 44_100
SPEECH_RATE = 16_000
PEAK = 10 ** (-3 / 20)
VOICES = {
    "en": ("asterisk-core-sounds-en-g722", "usr/share/asterisk/sounds/en_US_f_Allison"),
    "fr": ("asterisk-core-sounds-fr-g722", "usr/share/asterisk/sounds/fr_CA_f_June"),
    "it": ("asterisk-core-sounds-it-g722", "usr/share/asterisk/sounds/it_IT_m_Carlo"),
}
SAMPLES = ("sonic-pi-samples", "usr/share/sonic-pi/samples")
SOUNDFONT = ("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2")
HELP = {
    "apt-get": "this recipe needs Debian or Ubuntu; `apt-get update` first, and see that the release has the package",
    "dpkg": "this recipe needs Debian or Ubuntu, and room on the disk",
}
"""What to do when a command is missing or fails."""


class RecipeError(RuntimeError):
    """A source or a tool is missing; the message names it and says how to get it."""


@dataclass(frozen=True)
class Packages:
    """Debian packages, unpacked on first use under `cache/<package>/`; nothing is installed."""

    cache: Path

    def path(self, package: str, inside: str) -> Path:
        """Return where the file or folder `inside` of `package` lies.

        Raises:
            RecipeError: the package cannot be had, or has no such file.
        """
        folder = self.cache / package
        if not folder.is_dir():
            self._unpack(package, folder)
        if not (folder / inside).exists():
            raise RecipeError(f"{package}: has no {inside}; remove {folder} to unpack it again")
        return folder / inside

    def _unpack(self, package: str, folder: Path) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as work:
            _run(["apt-get", "download", package], Path(work))
            (deb,) = Path(work).glob("*.deb")
            _run(["dpkg", "-x", deb.name, "unpacked"], Path(work))
            (Path(work) / "unpacked").replace(folder)


# Sources ------------------------------------------------------------------------------------------


def prompt(packages: Packages, language: str, name: str, start: float, stop: float) -> Mono:
    """Return seconds `start` to `stop` of a spoken prompt, brought from 16 kHz to `RATE`."""
    package, folder = VOICES[language]
    need("av")
    import av

    with av.open(str(packages.path(package, f"{folder}/{name}.g722")), format="g722") as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    speech = np.concatenate(frames, axis=1)[0, int(start * SPEECH_RATE) : int(stop * SPEECH_RATE)]
    return np.asarray(soxr.resample(speech.astype(np.float32) / 2**15, SPEECH_RATE, RATE), np.float32)


def samples(packages: Packages, *names: str) -> list[Mono]:
    """Return some of Sonic Pi's samples, their channels averaged."""
    package, folder = SAMPLES
    files = [packages.path(package, f"{folder}/{name}.flac") for name in names]
    sounds = [soundfile.read(file, dtype="float32", always_2d=True) for file in files]
    return [np.asarray(soxr.resample(sound.mean(axis=1), rate, RATE), np.float32) for sound, rate in sounds]


def play(packages: Packages, phrase: Phrase) -> Mono:
    """Return a phrase as FluidSynth plays it."""
    # Quiet enough never to clip: `finish` sets the level.
    return synthesise(phrase.save, packages.path(*SOUNDFONT).resolve(), RATE, 0.25, reverb={})


# Treatment ------------------------------------------------------------------------------------------


def through(sound: Mono, *plugins: Plugin) -> Mono:
    """Return `sound` after a row of effects."""
    for plugin in plugins:
        sound = plugin(sound, RATE)
    return sound


def chained(*sounds: Mono, overlap: float = 1.0) -> Mono:
    """Return the sounds at equal peaks, each fading into the next over `overlap` seconds."""
    frames = int(overlap * RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, frames, dtype=np.float32))
    whole = np.zeros(0, np.float32)
    for sound in sounds:
        part = sound / np.abs(sound).max()
        if len(whole):
            whole[-frames:] *= ramp[::-1]
            part[:frames] *= ramp
            part[:frames] += whole[-frames:]
        whole = np.concatenate([whole[:-frames] if len(whole) else whole, part])
    return whole


def layered(*sounds: Mono) -> Mono:
    """Return the sum, as long as the shortest of the sounds."""
    frames = min(len(sound) for sound in sounds)
    return np.asarray(sum(sound[:frames] for sound in sounds), np.float32)


def processed(voice: Mono) -> Mono:
    """Return a lead vocal as records have it: bright, dense, doubled, with a slapback and a plate."""
    voice = voice / np.abs(voice).max()
    # A 16 kHz recording has nothing above 8 kHz: give it the air that an exciter makes out of the consonants.
    air = through(voice, HighpassFilter(3_500), Distortion(18), *band(9_000, 14_000), Gain(6))
    lead = through(
        layered(voice, air),
        HighpassFilter(110),
        Compressor(threshold_db=-24, ratio=5, attack_ms=3, release_ms=90),
        LowShelfFilter(220, -2),
        PeakFilter(3_200, 3, 0.8),
        PeakFilter(6_800, -8, 1.0),
        HighShelfFilter(9_000, 6),
        Gain(10),
        Compressor(threshold_db=-12, ratio=3, attack_ms=10, release_ms=160),
    )
    double = through(lead, Chorus(rate_hz=0.7, depth=0.18, centre_delay_ms=18, mix=1.0), Gain(-5))
    doubled = layered(lead, double)
    echo = Delay(delay_seconds=0.26, feedback=0.25, mix=0.18)
    return through(doubled, echo, Reverb(room_size=0.55, damping=0.35, wet_level=0.16, dry_level=0.8))


def telephoned(voice: Mono) -> Mono:
    """Return a voice through a carbon microphone and an old telephone line."""
    narrow = through(voice / np.abs(voice).max(), *band(320, 3_200))
    torn = through(narrow, Compressor(-26, 6, 2, 80), Gain(6), Distortion(14), PeakFilter(1_500, 5, 1.0))
    return through(torn, *band(320, 3_200))


def recorded(tune: Mono, hiss: Mono) -> Mono:
    """Return a tune from a worn record: narrow, a little torn, turning unevenly at 78 a minute, under hiss."""
    seconds = np.arange(len(tune)) / RATE
    uneven = np.interp(seconds + 0.0008 * np.sin(2 * np.pi * 1.3 * seconds), seconds, tune)
    narrow = through((uneven / np.abs(uneven).max()).astype(np.float32), *band(280, 3_600))
    horn = through(through(narrow, Distortion(10), PeakFilter(1_100, 4, 1.2)), *band(280, 3_600))
    noise = chained(hiss, hiss)
    return layered(horn / np.abs(horn).max(), 0.35 * noise)


def band(low: float, high: float) -> list[Plugin]:
    """Return filters that leave `low` to `high` Hz, 12 dB an octave on either side."""
    return [HighpassFilter(low), HighpassFilter(low), LowpassFilter(high), LowpassFilter(high)]


def amplified(guitar: Mono) -> Mono:
    """Return a guitar through an overdriven amplifier and its cabinet."""
    cabinet = (LowpassFilter(4_800), LowpassFilter(4_800), PeakFilter(2_500, 4, 0.9), HighpassFilter(80))
    return through(guitar, HighpassFilter(120), Gain(6), Distortion(28), *cabinet)


def finish(sound: Mono, seconds: float) -> Mono:
    """Return the first `seconds` from the first audible sample on, faded at both ends, its peak at `PEAK`."""
    sound = through(sound, HighpassFilter(20))
    first = int(np.argmax(np.abs(sound) > 0.01 * np.abs(sound).max()))
    cut = sound[max(first - RATE // 50, 0) :][: int(seconds * RATE)].astype(np.float64)
    for end, fade in ((cut, RATE // 100), (cut[::-1], RATE // 4)):
        end[:fade] *= np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    return np.asarray(PEAK * cut / np.abs(cut).max(), np.float32)


# Clips ------------------------------------------------------------------------------------------

Recipe = Callable[[Packages], Mono]
CLIPS: Mapping[str, tuple[float, Recipe]] = {
    "voice": (15.0, lambda p: prompt(p, "en", "demo-echotest", 2.44, 17.4)),
    "vocals": (11.0, lambda p: processed(prompt(p, "fr", "demo-abouttotry", 0, 9.9))),
    "telephone": (10.0, lambda p: telephoned(prompt(p, "it", "demo-abouttotry", 0, 9.6))),
    "choir": (9.8, lambda p: play(p, phrases.CHOIR)),
    "cello": (11.0, lambda p: play(p, phrases.CELLO)),
    "flute": (8.6, lambda p: play(p, phrases.FLUTE)),
    "organ": (8.9, lambda p: play(p, phrases.ORGAN)),
    "music-box": (8.5, lambda p: play(p, phrases.MUSIC_BOX)),
    "brass": (8.8, lambda p: play(p, phrases.BRASS)),
    "strings": (9.8, lambda p: play(p, phrases.STRINGS)),
    "synth": (7.8, lambda p: play(p, phrases.SYNTH)),
    "drums": (6.8, lambda p: play(p, phrases.DRUM_KIT)),
    "guitar": (10.6, lambda p: chained(*samples(p, "guit_em9", "guit_harmonics"))),
    "distorted-guitar": (9.3, lambda p: amplified(chained(*samples(p, "guit_e_slide", "guit_e_fifths")))),
    "old-record": (8.2, lambda p: recorded(play(p, phrases.RAG), *samples(p, "vinyl_hiss"))),
    "drone": (9.0, lambda p: chained(*samples(p, "ambi_drone", "ambi_glass_rub", "ambi_haunted_hum"))),
}
"""By name: the length in seconds at most, and where the sound comes from."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make every clip; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the bundled clips again from Debian's packages.")
    parser.add_argument("out", type=Path, help="the folder that receives the clips")
    parser.add_argument("--cache", type=Path, default=cache_folder("packages"), help="where packages are unpacked")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for name, (seconds, recipe) in CLIPS.items():
            path = options.out / f"{name}.flac"
            soundfile.write(path, finish(recipe(Packages(options.cache)), seconds), RATE, "PCM_16")
            print(f"{path}: {soundfile.info(path).duration:.1f} s, {path.stat().st_size / 1000:.0f} kB")
    except (RecipeError, DataError, MissingLibraryError) as error:
        print(f"clips: {error}", file=sys.stderr)
        return 1
    return 0


def _run(command: list[str], folder: Path) -> None:
    advice = HELP[command[0]]
    if not shutil.which(command[0]):
        raise RecipeError(f"{command[0]}: not found; {advice}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecipeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}; {advice}")


if __name__ == "__main__":
    sys.exit(main())
