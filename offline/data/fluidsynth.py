"""MIDI files of messages at times, and how FluidSynth plays a MIDI file on a General MIDI soundfont."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import DataError

DRUMS = 128
"""The program that stands for the drum kit; 0 to 127 are General MIDI's, counted from 0."""
DRUM_CHANNEL = 9


def song_of(events: Iterable[tuple[float, Any]]) -> Any:
    """Return a MIDI file of messages by their seconds; a tick is a millisecond. Those of one time keep their order."""
    import mido

    track, before = mido.MidiTrack(), 0
    for seconds, message in sorted(events, key=lambda event: event[0]):
        ticks = round(seconds * 1000)
        track.append(message.copy(time=ticks - before))
        before = ticks
    # 500 a beat, at the 120 beats a minute that hold where nothing is said
    return mido.MidiFile(type=0, ticks_per_beat=500, tracks=[track])


def demand_fluidsynth() -> None:
    """Check, before the work, that there is FluidSynth.

    Raises:
        DataError: it is not installed.
    """
    if not shutil.which("fluidsynth"):
        raise DataError("fluidsynth: not installed; install it, for example by `apt-get install fluidsynth`")


def synthesise(
    save: Callable[[Path], object], soundfont: Path, rate: int, gain: float, reverb: Mapping[str, float] | None = None
) -> Sound:
    """Return the MIDI file that `save` writes to a path as a soundfont plays it, mono at `rate` Hz.

    `gain` is FluidSynth's own: what it lets clip stays clipped. `reverb` has settings of its reverb by name, those that
    are missing as usual; None: no reverb.

    Raises:
        DataError: FluidSynth is not installed, or failed.
    """
    import soundfile

    demand_fluidsynth()
    options = f"-ni -q -g {gain:g} -C 0 -R {int(reverb is not None)} -r {rate} -O float".split()
    options += [word for name, value in (reverb or {}).items() for word in ("-o", f"synth.reverb.{name}={value:.3f}")]
    with tempfile.TemporaryDirectory() as work:
        song, sound = Path(work) / "song.mid", Path(work) / "song.wav"
        save(song)
        command = ["fluidsynth", *options, "-F", str(sound), str(soundfont), str(song)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not sound.is_file():
            raise DataError(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        whole, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(whole.mean(axis=1), np.float32)
