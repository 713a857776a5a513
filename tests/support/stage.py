"""Noise, and a stage run in blocks."""

import numpy as np


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


def noise(frames, channels=1):
    swell = np.sin(np.arange(frames) / 1500) ** 4
    return (np.random.default_rng(3).normal(0, 0.3, (channels, frames)) * swell).astype(np.float32)
