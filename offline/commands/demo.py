"""`make demo`: a bundled voice, streamed block by block through the default preset, as sound and as a picture."""

from __future__ import annotations

import time
from pathlib import Path

from gramophone.offline.console import wrote
from gramophone.offline.plotting.spectrograms import draw_render
from gramophone.presets import CLIPS, DEFAULT, load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioReader, AudioWriter, read

_BLOCK = 256
_OUT = Path("out")


def main() -> None:
    """Render, draw, play aloud where there is a loudspeaker, and print what was done."""
    source, result, picture = CLIPS / "voice.flac", _OUT / "demo.wav", _OUT / "demo.png"
    _OUT.mkdir(exist_ok=True)
    preset = load(DEFAULT)
    with AudioReader(source) as reader:
        engine = Engine(preset, reader.rate, reader.channels)
        start = time.perf_counter()
        with AudioWriter(result, reader.rate, reader.channels, reader.frames) as writer:
            for block in engine.aligned(reader.blocks(_BLOCK)):
                writer.write(block)
        speed = reader.frames / reader.rate / (time.perf_counter() - start)
        seconds, latency = reader.frames / reader.rate, engine.delay / reader.rate * 1000
    draw_render(source, result, engine.preset, picture)
    engine.close()
    aloud = _play(result)
    chain = " > ".join(stage.name for stage in preset.stages)
    print(f"Played {seconds:.0f} s of voice through {preset.title!r} ({chain}){aloud}.")
    print(f"Speed: {speed:.0f} times real time in blocks of {_BLOCK}, latency {latency:.0f} ms.")
    wrote(result, picture)
    print("Next: .venv/bin/gramophone render YOUR.wav --preset processed-vocals --set style.clip=SONG.wav --out out")


def _play(path: Path) -> str:
    """Play a file aloud and return `, aloud`; on a machine without a loudspeaker return an empty text."""
    from pedalboard.io import AudioStream

    sound, rate = read(path)
    try:
        AudioStream.play(sound, rate)
    except (AttributeError, RuntimeError, ValueError, OSError):
        return ""
    return ", aloud"


if __name__ == "__main__":
    main()
