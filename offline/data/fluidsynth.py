"""How a MIDI file sounds as FluidSynth plays it on a General MIDI soundfont."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import DataError


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

    if not shutil.which("fluidsynth"):
        raise DataError("fluidsynth: not installed; install it, for example by `apt-get install fluidsynth`")
    options = [
        "-ni",
        "-q",
        "-g",
        f"{gain:g}",
        "-C",
        "0",
        "-R",
        str(int(reverb is not None)),
        "-r",
        str(rate),
        "-O",
        "float",
    ]
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
