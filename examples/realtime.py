"""Real time in Python: sound comes and goes in chunks of any length, knobs move meanwhile.

    python realtime.py [INPUT.wav] [OUTPUT.wav]

Here the chunks come from a file. In a program of yours they come from a callback, a socket or a game: one call of
`engine.process` for each, `(channels, frames)` in and the same shape out, `engine.delay` samples late.
"""

import sys
from pathlib import Path

import numpy as np

from gramophone.presets import CLIPS
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioReader, AudioWriter

source = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIPS / "guitar.flac"
target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("realtime.wav")
chunk_sizes = np.random.default_rng(0).integers(32, 512, 100_000)  # as an uneven machine would call

with AudioReader(source) as reader:
    sound = np.concatenate(list(reader.blocks(4096)), axis=1)
    rate, channels = reader.rate, reader.channels

engine = Engine.load("hall", rate, channels)
with AudioWriter(target, rate, channels) as writer:
    start = 0
    for size in chunk_sizes:
        if start >= sound.shape[1]:
            break
        engine.set("style.strength", start / sound.shape[1])  # smoothed: no step ever clicks
        writer.write(engine.process(sound[:, start : start + size]))
        start += size
report = engine.report()
engine.close()
print(f"{target}: {engine.delay / rate * 1000:.1f} ms late, {report.load:.0%} of the time at work")
