"""Lines of a spoken adventure: those of characters who say enough, and the hero's, under the game's own names."""

import io
import struct

import numpy as np
import pytest
import soundfile

from gramophone.offline.data import corpora, talkie

RATE = 11_025


def mp3(seconds, pitch_hz):
    sound = 0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * RATE)) / RATE)
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()


def archive(files):
    head = b"QTBL" + b"CEM10\0" + b"\0\0\x01" + struct.pack(">H", len(files))
    start = len(head) + 21 * len(files)
    table = b""
    for name, data in files.items():
        table += struct.pack(">12sBII", name.encode(), 1, start, len(data))
        start += len(data)
    return head + table + b"".join(files.values())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(corpora, "fetch", lambda packages: None)
    path = (
        tmp_path / "gramophone" / "corpora" / talkie.PACKAGE / "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
    )
    path.parent.mkdir(parents=True)
    return path


def test_lines_are_sorted_by_who_says_them(cache, tmp_path):
    long, other = mp3(20.0, 220.0), mp3(20.0, 330.0)
    files = {"020001P2.SB": long, "020006J1.SB": other, "020006P1.SB": long, "030007J1.SB": other, "040001P1.SB": long}
    files |= {"02SSSSSS.SB": other, "CDINT1.SB": other, "ZOMBIE.ACT": b"no sound"}
    cache.write_bytes(archive(files))
    found = {folder.name: sorted(path.name for path in folder.iterdir()) for folder in talkie.characters()}
    assert found == {"02": ["020001P2.wav", "020006P1.wav"], "hero": ["020006J1.wav", "030007J1.wav"]}
    for folder, pitch_hz in (("02", 220.0), ("hero", 330.0)):
        sound, rate = soundfile.read(next((tmp_path / "gramophone" / "talkie" / folder).iterdir()))
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        assert rate == RATE
        assert np.argmax(spectrum) * rate / len(sound) == pytest.approx(pitch_hz, abs=0.5)
        assert len(sound) / rate == pytest.approx(20.0, abs=0.2)


def test_another_file_is_refused_by_what_it_begins_with(cache):
    cache.write_bytes(b"ID3 and so on")
    with pytest.raises(corpora.CorporaError, match="expected a file that begins with QTBL, not b'ID3 '"):
        list(talkie.characters())
