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
    aloud = ", aloud" if play_aloud(result) else ""
    chain = " > ".join(stage.name for stage in preset.stages)
    print(f"Played {seconds:.0f} s of voice through {preset.title!r} ({chain}){aloud}.")
    print(f"Speed: {speed:.0f} times real time in blocks of {_BLOCK}, latency {latency:.0f} ms.")
    wrote(result.resolve(), picture.resolve())
    for step in _next_steps():
        print(f"Next: {step}")


def play_aloud(path: Path) -> bool:
    """Play a file; return False on a machine without a loudspeaker."""
    from pedalboard.io import AudioStream

    sound, rate = read(path)
    try:
        AudioStream.play(sound, rate)
    except (AttributeError, RuntimeError, ValueError, OSError):
        return False
    return True


def _next_steps() -> list[str]:
    """Return what to try next: the page's address too, where there is a device to play on."""
    from gramophone.realtime.live.devices.list import find_devices

    found, _ = find_devices()
    live = ".venv/bin/gramophone play, with headphones; its page is http://localhost:9001/ui while it plays"
    files = ".venv/bin/gramophone render YOUR.wav --preset processed-vocals --set style.clip=SONG.wav --out out"
    return [live, files] if found else [files]


if __name__ == "__main__":
    main()
