"""Sound files as other people's programs make them, and what ffmpeg decodes from them."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

RATE = 44100


def sweep(seconds=3.0, channels=2, rate=RATE):
    """A sound whose level and pitch change, with a quiet stretch: encoders of a variable rate vary it."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(0, 0.01, t.size)
    tone = 0.3 * np.sin(2 * np.pi * 220 * t * (1 + 0.3 * t)) * np.sin(2 * np.pi * 0.7 * t) ** 2 + noise
    tone[t.size // 4 : t.size // 2] *= 0.001
    return np.stack([np.roll(tone, 5000 * c) * 0.8**c for c in range(channels)]).astype(np.float32)


def run(command, folder):
    """Run a shell command in a folder; skip the test where its program is not installed."""
    for stage in command.replace(";", "|").split("|"):
        program = stage.split()[0]
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, check=True, capture_output=True)


def make(folder, command, name, **sound):
    """Make `in.wav` and from it the file `name` by a shell command in `folder`; returns the path of `name`."""
    rate = sound.get("rate", RATE)
    soundfile.write(folder / "in.wav", sweep(**sound).T, rate, subtype="PCM_16")
    run(command, folder)
    return folder / name


def decoded(path, channels):
    """What ffmpeg makes of a file: `(channels, frames)`."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<f4").reshape(-1, channels).T


def with_checksums(data):
    """Make the checksums of Ogg pages right again: else every change is found by them."""
    data, at = bytearray(data), 0
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        size = 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
        data[at + 22 : at + 26] = bytes(4)
        checksum = 0
        for byte in data[at : at + size]:
            checksum ^= byte << 24
            for _ in range(8):
                checksum = (checksum << 1 ^ (0x104C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
        data[at + 22 : at + 26] = checksum.to_bytes(4, "little")
        at += size
    return bytes(data)


def unended(path, seconds=3.0, sound=None):
    """Write an Ogg whose last page is not marked as the last, which is read with the remark that is returned."""
    soundfile.write(path, (sweep(seconds, 1) if sound is None else sound).T, RATE, format="OGG")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"OggS") + 5] &= ~4
    path.write_bytes(with_checksums(data))
    return "no page is marked as the last; what should follow, if anything, is missing"
