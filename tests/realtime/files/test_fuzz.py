"""Whatever a header says: the file is refused by name, or gives as many frames as it announces; nothing hangs."""

import signal
import time

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.encoders import sweep, with_checksums

from gramophone.realtime.files import AudioReader, SoundFileError

CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "FLOAT"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("NIST", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
INTERESTING = [b"\0", b"\xff", b"\x7f", b"\x80", b"\1", b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\xf0\xff\x7f"]
CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=8), st.booleans()),
    min_size=1,
    max_size=4,
)
LIMIT_S = 20


def hang(*_):
    raise TimeoutError("reading takes too long")


def changed(data, changes, cut):
    """Overwrite or insert bytes, or cut the end off."""
    data = bytearray(data)
    for at, content, inserted in changes:
        data[at : at if inserted else at + len(content)] = content
    cut_off = bytes(data[: len(data) - cut])
    return with_checksums(cut_off) if data[:4] == b"OggS" else cut_off


def read_all(path):
    """Read a file in blocks of two sizes, which give the same sound or the same refusal, by name."""
    first, second = (_read_in_blocks(path, size) for size in (4096, 333))
    if isinstance(first, str):
        assert str(path) in first
        assert isinstance(second, str)
    else:
        assert np.array_equal(first, second, equal_nan=True)


def _read_in_blocks(path, size):
    try:
        with AudioReader(path) as reader:
            blocks = list(reader.blocks(size))
    except SoundFileError as error:
        return str(error)
    sound = np.concatenate(blocks, axis=1)
    assert sound.shape == (reader.channels, reader.frames)
    return sound


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS, ids="-".join)
def test_a_changed_header_is_refused_or_read_as_it_says(tmp_path, container):
    path = tmp_path / "sound"
    soundfile.write(path, sweep(0.2, rate=48000).T, 48000, format=container[0], subtype=container[1])
    whole = path.read_bytes()
    started = time.monotonic()

    @given(changes=CHANGES, cut=st.sampled_from([0, 0, 0, 1, 100, len(whole) // 2]))
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def law(changes, cut):
        if time.monotonic() - started > 45:  # ten minutes for all of them
            return
        signal.signal(signal.SIGALRM, hang)
        signal.alarm(LIMIT_S)
        try:
            path.write_bytes(changed(whole, changes, cut))
            read_all(path)
        finally:
            signal.alarm(0)

    law()
