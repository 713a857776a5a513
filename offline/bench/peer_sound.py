"""Rows of the table of peers: chains of effects, rendering, and style transfer offline."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.bench.batch import sound_file
from gramophone.offline.bench.contest import Contest, Duel, NotInstalledError, Woven
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.offline.render import RenderRequest, render_file
from gramophone.presets import CLIPS, Preset, StageSettings, load
from gramophone.realtime.chain import Chain
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioReader
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio, Format

_RATE, _BLOCK = 48_000, 256
_SECONDS, _RENDERED_S = 4, 20
_ITERATIONS = 32
"""Of Griffin and Lim's algorithm: librosa's default."""
_CHAIN = (
    ("highpass", {"cutoff_frequency_hz": 100.0}),
    ("compressor", {"threshold_db": -20.0, "ratio": 3.0}),
    ("delay", {"delay_seconds": 0.25, "feedback": 0.3, "mix": 0.3}),
    ("reverb", {"room_size": 0.5, "wet_level": 0.2}),
)
"""Effects by pedalboard's names of them and of their arguments, all of which DawDreamer has too."""
_CLASSES = {"highpass": "HighpassFilter", "compressor": "Compressor", "delay": "Delay", "reverb": "Reverb"}


def _sound(seconds: int) -> Audio:
    return np.random.default_rng(0).normal(0, 0.1, (2, seconds * _RATE)).astype(np.float32)


def _engine(stack: ExitStack) -> Engine:
    engine = Engine(complete(Preset("bench", tuple(StageSettings(kind, kind) for kind, _ in _CHAIN))), _RATE, 2)
    stack.callback(engine.close)
    return engine


def _pedalboard() -> Any:
    pedalboard: Any = importlib.import_module("pedalboard")
    return pedalboard.Pedalboard([getattr(pedalboard, _CLASSES[kind])(**values) for kind, values in _CHAIN])


def _streamed(stack: ExitStack) -> Contest:
    """Return an engine and a peer, a block of 256 at a time."""
    engine, peer = _engine(stack), _pedalboard()
    block = _sound(1)[:, :_BLOCK]
    return Contest(
        lambda: engine.process(block), lambda: peer.process(block, _RATE, reset=False), _BLOCK / _RATE, calls=200
    )


def _offline(stack: ExitStack) -> Contest:
    """Return an engine and a peer over four seconds."""
    engine, peer, sound = _engine(stack), _pedalboard(), _sound(_SECONDS)
    return Contest(lambda: engine.render(sound), lambda: peer.process(sound, _RATE), _SECONDS, calls=1)


def _dawdreamer(stack: ExitStack) -> Contest:
    """Return an engine and DawDreamer's over four seconds; it cannot stream, for each render begins from silence."""
    try:
        dawdreamer: Any = importlib.import_module("dawdreamer")
    except ImportError:
        raise NotInstalledError("dawdreamer is not installed") from None
    engine, sound = _engine(stack), _sound(_SECONDS)
    host = dawdreamer.RenderEngine(_RATE, _BLOCK)
    nodes = [
        host.make_playback_processor("sound", sound),
        host.make_filter_processor("highpass", "high", 100.0),
        host.make_compressor_processor("compressor", -20.0, 3.0),
        host.make_delay_processor("delay", "linear", 250.0, 0.3),
        host.make_reverb_processor("reverb", 0.5, 0.5, 0.2, 0.4),
    ]
    names = ["sound", "highpass", "compressor", "delay", "reverb"]
    host.load_graph([(node, names[max(i - 1, 0) : i]) for i, node in enumerate(nodes)])

    def theirs() -> Any:
        host.render(float(_SECONDS))
        return host.get_audio()

    return Contest(lambda: engine.render(sound), theirs, _SECONDS, calls=1, by_clock=True)


def _bare_loop(stack: ExitStack) -> Woven:
    """Return the rendering of a file through six stages, and a loop over the same stages without any of the rest."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    source, request = sound_file(folder / "in.wav", _RENDERED_S), RenderRequest(load(LONG_CHAIN))

    def both() -> tuple[float, float]:
        bare, bare_s = bare_loop(source, request), 0.0

        def step(_seconds: float) -> None:
            nonlocal bare_s
            before = time.thread_time()
            next(bare, None)
            bare_s += time.thread_time() - before

        start = time.thread_time()
        render_file(source, folder / "out.wav", request, step)
        render_s = time.thread_time() - start - bare_s
        step(0.0)
        return render_s, bare_s

    return Woven(both, _RENDERED_S)


def bare_loop(source: Path, request: RenderRequest) -> Iterator[None]:
    """Pass a file's blocks through a preset's stages, without anything else that rendering does, a block a step."""
    chain = Chain(request.preset, Format(_RATE, 2, "auto"))
    with AudioReader(source) as reader:
        for block in reader.blocks(request.block):
            for slot in chain:
                block = slot.stage.process(block)
            yield
    chain.close()


def _griffin_lim(stack: ExitStack) -> Contest:
    """Return the style stage over four seconds, and the phases of a magnitude spectrogram of them by Griffin-Lim."""
    import librosa

    preset = Preset("bench", (StageSettings("style", "style", {"clip": str(CLIPS / "choir.flac")}),))
    engine, sound = Engine(complete(preset), _RATE, 1), _sound(_SECONDS)[:1]
    stack.callback(engine.close)
    magnitude = np.abs(librosa.stft(sound[0], n_fft=2048))
    return Contest(
        lambda: engine.render(sound),
        lambda: librosa.griffinlim(magnitude, n_iter=_ITERATIONS, n_fft=2048, random_state=0),
        _SECONDS,
        calls=1,
        runs=5,
    )


_FOUR = "four effects, stereo"
_SPEED = "times real time"
DUELS = (
    Duel("chain-live", f"{_FOUR}, live, blocks of 256", _SPEED, "pedalboard {}", "pedalboard", _streamed),
    Duel("chain-offline", f"{_FOUR}, offline", _SPEED, "pedalboard {}", "pedalboard", _offline),
    Duel("chain-dawdreamer", f"{_FOUR}, offline", _SPEED, "DawDreamer {}", "dawdreamer", _dawdreamer),
    Duel("render", "a file through six stages", _SPEED, "the bare loop over them", "", _bare_loop),
    Duel(
        "griffin-lim",
        "style offline, mono",
        _SPEED,
        f"librosa {{}}, Griffin-Lim ({_ITERATIONS})",
        "librosa",
        _griffin_lim,
    ),
)
