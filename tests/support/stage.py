"""A voice, noise, and a stage run in blocks."""

import functools

import numpy as np

from gramophone.presets import CLIPS
from gramophone.realtime.files import read


def play(playing, sound, sizes, turns=()):
    """Process `sound` in blocks of `sizes`, cyclically; `turns` are changes (sample, parameter, value), in order."""
    pieces, start, i, turns = [], 0, 0, list(turns)
    while start < sound.shape[1]:
        while turns and turns[0][0] == start:
            playing.set(*turns.pop(0)[1:])
        stop = min(start + sizes[i % len(sizes)], sound.shape[1], *(at for at, _, _ in turns))
        pieces.append(playing.process(sound[:, start:stop]))
        start, i = stop, i + 1
    return np.concatenate(pieces, 1)


def run(playing, audio, sizes=(1024,)):
    """Play `audio` in blocks of `sizes`, round and round, and close the stage; the latency is trimmed."""
    heard = play(playing, np.pad(audio, ((0, 0), (0, playing.delay))), sizes)
    playing.close()
    return heard[:, playing.delay :]


def voice(seconds, channels=1, rate=48_000):
    """The factory's voice, each channel half as loud as the one before."""
    sound = _voice(rate)[: round(seconds * rate)]
    return np.stack([sound * np.float32(0.5**c) for c in range(channels)])


@functools.cache
def _voice(rate):
    import soxr

    sound, own = read(CLIPS / "voice.flac")
    return soxr.resample(sound[0], own, rate).astype(np.float32)


def noise(frames, channels=1):
    swell = np.sin(np.arange(frames) / 1500) ** 4
    return (np.random.default_rng(3).normal(0, 0.3, (channels, frames)) * swell).astype(np.float32)
