"""A signal that arrives while libsndfile calls our files is neither lost nor taken for the end of the file."""

import os
import signal
import threading

import numpy as np
import pytest

from gramophone.realtime.files import AudioReader, AudioWriter
from gramophone.realtime.files.segments import OutputFile, Segments
from gramophone.realtime.system.interrupts import interrupts

NOISE = np.random.default_rng(1).normal(0, 0.1, (2, 48_000)).astype(np.float32)


@pytest.fixture
def handled():
    before = signal.signal(signal.SIGTERM, interrupts.raising(KeyboardInterrupt))
    yield
    signal.signal(signal.SIGTERM, before)


def signalling(method):
    """Return `method` with a signal before it: its handler runs within."""

    def call(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return method(*arguments)

    return call


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_one_within_a_read_or_a_write_is_raised_when_the_library_has_returned(name, tmp_path, monkeypatch, handled):
    def write(path):
        with AudioWriter(path, 48_000, 2, 0) as writer:
            monkeypatch.setattr(OutputFile, "write", signalling(OutputFile.write))
            writer.write(NOISE)
            writer.write(NOISE)

    with AudioWriter(tmp_path / name, 48_000, 2, 0) as writer:
        writer.write(NOISE)
    with AudioReader(tmp_path / name) as reader:
        reader.read(64)
        monkeypatch.setattr(Segments, "readinto", signalling(Segments.readinto))
        with pytest.raises(KeyboardInterrupt):
            reader.read(40_000)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / f"other-{name}")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_another_thread_at_work_in_a_library_does_not_hold_one_back(handled):
    inside, end = threading.Event(), threading.Event()

    def work():
        with interrupts:
            inside.set()
            end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    end.set()
    thread.join()
