"""`make demo`: a bundled voice, streamed block by block through two presets, as sound and as a picture."""

from __future__ import annotations

import time
from pathlib import Path

from gramophone.offline.console import wrote
from gramophone.offline.plotting.spectrograms import draw_spectrograms
from gramophone.presets import CLIPS, DEFAULT, Preset, load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioReader, AudioWriter, read

_BLOCK = 256
_OUT = Path("out")
_MOSAIC = "choir-of-one"
_SHOWN_S, _TRIED_S = 15.0, 1.0


def main() -> None:
    """Render, draw, play aloud where there is a loudspeaker, and print what was done."""
    source, picture = CLIPS / "voice.flac", _OUT / "demo.png"
    _OUT.mkdir(exist_ok=True)
    shown = {f"content: {source.name}": read(source, _SHOWN_S)}
    results = []
    for name, result in ((DEFAULT, _OUT / "demo.wav"), (_MOSAIC, _OUT / "demo-mosaic.wav")):
        preset = load(name)
        print(_rendered(preset, source, result))
        shown[f"result: {preset.title}"] = read(result, _SHOWN_S)
        results.append(result)
    draw_spectrograms(shown, picture)
    if play_aloud(results[0]):
        print("Played the first of them aloud.")
    wrote(*(path.resolve() for path in (*results, picture)))
    for step in _next_steps():
        print(f"Next: {step}")


def _rendered(preset: Preset, source: Path, result: Path) -> str:
    """Play `source` through a preset into `result`; return what was played, and how fast."""
    with AudioReader(source) as reader:
        engine = Engine(preset, reader.rate, reader.channels)
        engine.render(read(source, _TRIED_S)[0])  # a first start compiles, which is no part of the speed
        engine.reset()
        start = time.perf_counter()
        with AudioWriter(result, reader.rate, reader.channels, reader.frames) as writer:
            for block in engine.aligned(reader.blocks(_BLOCK)):
                writer.write(block)
        seconds, latency = reader.frames / reader.rate, engine.delay / reader.rate * 1000
    speed = seconds / (time.perf_counter() - start)
    engine.close()
    chain = " > ".join(stage.name for stage in preset.stages)
    return (
        f"{seconds:.0f} s of voice through {preset.title!r} ({chain}): {speed:.0f} times real time in blocks of "
        f"{_BLOCK}, latency {latency:.0f} ms."
    )


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
