"""Reading in blocks of any sizes gives what decoding whole gives, to the exact end, or the file is refused by name."""

import os
import socket
import struct
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.encoders import RATE, decoded, make, run, sweep, with_checksums

from gramophone.realtime.files import AudioReader, SoundFileError, read

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_24"),
    ("AIFF", "PCM_U8"),
    ("AIFF", "DOUBLE"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_32"),
    ("CAF", "ALAC_16"),
    ("NIST", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
LOSSLESS = {"PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_16"}
SIZES = st.lists(st.sampled_from([1, 2, 31, 256, 575, 576, 1000, 1152, 4096, 30_000]), min_size=1, max_size=8)


@pytest.fixture(scope="module", params=FORMATS, ids="-".join)
def file(request, tmp_path_factory):
    container, subtype = request.param
    path = tmp_path_factory.mktemp("sound") / f"{container}-{subtype}"
    soundfile.write(path, sweep(1.1, rate=48000).T, 48000, format=container, subtype=subtype)
    return path, subtype


def in_blocks(path, sizes):
    """Read a file in blocks of `sizes`, again from the first when they are used up."""
    with AudioReader(path) as reader:
        blocks, done = [], 0
        while done < reader.frames:
            block = reader.read(sizes[len(blocks) % len(sizes)])
            assert block.shape == (reader.channels, min(sizes[len(blocks) % len(sizes)], reader.frames - done))
            blocks.append(block)
            done += block.shape[1]
        assert reader.read(10).shape == (reader.channels, 0)
    return np.concatenate(blocks, axis=1)


@given(sizes=SIZES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_of_any_sizes_give_the_whole(file, sizes):
    path, subtype = file
    whole, rate = read(path)
    assert rate == 48000
    assert np.array_equal(in_blocks(path, sizes), whole)
    if subtype in LOSSLESS:
        assert np.array_equal(whole, soundfile.read(path, dtype="float32", always_2d=True)[0].T)


def test_the_first_seconds_are_the_start_of_the_whole(file):
    path, _ = file
    whole, rate = read(path)
    assert np.array_equal(read(path, 0.1)[0], whole[:, : round(0.1 * rate)])


def test_a_cut_file_is_refused_with_how_much_is_missing(file, tmp_path):
    path, _ = file
    data = path.read_bytes()
    for cut in (1, len(data) // 3, len(data) // 2):
        (tmp_path / "cut").write_bytes(data[:-cut])
        with pytest.raises(SoundFileError, match=r"cut short.*(missing|lacks)") as caught:
            in_blocks(tmp_path / "cut", [4096])
        assert str(tmp_path / "cut") in str(caught.value)


LAME = "lame --quiet"
FFMPEG = "ffmpeg -loglevel error -i in.wav"
ENCODED = {
    "cbr.mp3": f"{LAME} in.wav cbr.mp3",
    "vbr.mp3": f"{LAME} -V4 in.wav vbr.mp3",
    "vbr-no-xing.mp3": f"{LAME} -t -V4 in.wav vbr-no-xing.mp3",
    "abr-no-xing.mp3": f"{LAME} -t --abr 90 in.wav abr-no-xing.mp3",
    "cbr-no-xing.mp3": f"{LAME} -t in.wav cbr-no-xing.mp3",
    "vbr-piped.mp3": f"cat in.wav | {LAME} -V4 - - | cat > vbr-piped.mp3",
    "mono-22k.mp3": f"{LAME} -m m --resample 22.05 -t -V5 in.wav mono-22k.mp3",
    "mpeg25.mp3": f"{LAME} -b 32 --resample 11.025 -t in.wav mpeg25.mp3",
    "low-rate.mp3": f"{LAME} -b 8 -m m --resample 8 -t in.wav low-rate.mp3",
    "checksums.mp3": f"{LAME} -p -t -V4 in.wav checksums.mp3",
    "ffmpeg.mp3": f"{FFMPEG} -q:a 4 ffmpeg.mp3",
    "ffmpeg-piped.mp3": f"{FFMPEG} -q:a 4 -f mp3 - | cat > ffmpeg-piped.mp3",
    "id3v1.mp3": f"{LAME} -t -V4 --id3v1-only --tt title in.wav id3v1.mp3",
    "id3v2.mp3": f"{LAME} -t -V4 --id3v2-only --tt title in.wav id3v2.mp3",
    "joined.mp3": f"{LAME} -V4 in.wav a.mp3; {LAME} -b 128 in.wav b.mp3; cat a.mp3 b.mp3 > joined.mp3",
    "layer2.mp2": f"{FFMPEG} layer2.mp2",
    "mp3.wav": f"{FFMPEG} -c:a libmp3lame mp3.wav",
    "oggenc.ogg": "oggenc -Q -q 3 -o oggenc.ogg in.wav",
    "oggenc-piped.ogg": "cat in.wav | oggenc -Q - | cat > oggenc-piped.ogg",
    "flac-in-ogg.oga": "flac -s --ogg -o flac-in-ogg.oga in.wav",
    "ffmpeg-flac-in-ogg.oga": f"{FFMPEG} -c:a flac ffmpeg-flac-in-ogg.oga",
    "tagged-behind.flac": "flac -s -o a.flac in.wav; cat a.flac > tagged-behind.flac; "
    "printf 'TAG%0125d' 0 >> tagged-behind.flac",
    "bw64.wav": f"{FFMPEG} -rf64 always rf64.wav; sed '1s/^RF64/BW64/' rf64.wav > bw64.wav",
    "alaw.wav": f"{FFMPEG} -c:a pcm_alaw alaw.wav",
    "sox.caf": "sox in.wav sox.caf",
}


@pytest.mark.peer
@pytest.mark.parametrize("name", ENCODED)
def test_what_others_encode_is_read_as_ffmpeg_decodes_it(tmp_path, name):
    path = make(tmp_path, ENCODED[name], name)
    found = in_blocks(path, [256, 1, 5000])
    truth = decoded(path, len(found))
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() < 1e-4


@pytest.mark.peer
@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("name", ["a.ogg", "a.flac"])
def test_channels_come_in_the_order_of_wav(tmp_path, channels, name):
    """Vorbis numbers loudspeakers otherwise; a tone of its own level in each channel shows where it went."""
    tones = np.stack([0.1 * (c + 1) * np.sin(np.arange(RATE) * (0.0023 + 0.0001 * c)) for c in range(channels)])
    soundfile.write(tmp_path / "in.wav", tones.T, RATE, subtype="PCM_16")
    codec = "libvorbis" if name == "a.ogg" else "flac"
    run(f"ffmpeg -loglevel error -i in.wav -c:a {codec} {name}", tmp_path)
    found, _ = read(tmp_path / name)
    assert np.allclose(np.abs(found[:, 2000:-2000]).max(1), 0.1 * np.arange(1, channels + 1), rtol=0.15)


@pytest.mark.peer
def test_a_chain_of_oggs_is_read_link_by_link(tmp_path):
    make(tmp_path, "oggenc -Q -o a.ogg in.wav; oggenc -Q -q 8 -s 7 -o b.ogg in.wav; cat a.ogg b.ogg > chain.ogg", "a")
    links = [decoded(tmp_path / name, 2) for name in ("a.ogg", "b.ogg")]
    found = in_blocks(tmp_path / "chain.ogg", [1000])
    assert found.shape == (2, sum(link.shape[1] for link in links))
    assert np.abs(found - np.concatenate(links, axis=1)).max() < 1e-4


@pytest.mark.peer
def test_a_chain_of_two_rates_is_refused(tmp_path):
    make(
        tmp_path,
        "oggenc -Q -o a.ogg in.wav; oggenc -Q --resample 22050 -o b.ogg in.wav; cat a.ogg b.ogg > chain.ogg",
        "chain.ogg",
    )
    with pytest.raises(SoundFileError, match="part 2 has 22050 Hz"):
        AudioReader(tmp_path / "chain.ogg")


@pytest.mark.peer
def test_an_ogg_with_a_missing_or_changed_page_is_refused(tmp_path):
    data = make(tmp_path, "oggenc -Q -o a.ogg in.wav", "a.ogg").read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    for damaged in (data[: starts[4]] + data[starts[5] :], data[: starts[4] + 99] + b"?" + data[starts[4] + 100 :]):
        (tmp_path / "damaged.ogg").write_bytes(damaged)
        with pytest.raises(SoundFileError, match="damaged"):
            AudioReader(tmp_path / "damaged.ogg")


@pytest.mark.peer
def test_an_ogg_whose_last_page_is_not_marked_is_read_with_a_remark(tmp_path):
    """Unless a packet goes on behind it: then its end is missing."""
    path = make(tmp_path, "oggenc -Q -o a.ogg in.wav", "a.ogg")
    whole, data = read(path)[0], bytearray(path.read_bytes())
    at = data.rindex(b"OggS")
    data[at + 5] &= ~4
    path.write_bytes(with_checksums(data))
    with AudioReader(path) as reader:
        assert np.array_equal(reader.read(reader.frames), whole)
        assert reader.remarks == ("no page is marked as the last; what should follow, if anything, is missing",)
    table = at + 26 + data[at + 26]
    more = bytes(255 - data[table])
    data[table] = 255
    path.write_bytes(with_checksums(data + more))
    with pytest.raises(SoundFileError, match="cut short"):
        AudioReader(path)


PIPED = {
    "flac": "cat in.wav | flac -s --ignore-chunk-sizes - | cat > out",
    "ffmpeg-flac": f"{FFMPEG} -f flac - | cat > out",
    "sox-flac": "sox in.wav -t flac - | cat > out",
    **{f"ffmpeg-{kind}": f"{FFMPEG} -f {kind} - | cat > out" for kind in ("wav", "au", "caf", "w64", "aiff")},
    "ffmpeg-rf64": f"{FFMPEG} -rf64 always -f wav - | cat > out",
    **{f"sox-{kind}": f"sox in.wav -t {kind} - | cat > out" for kind in ("wav", "au", "aiff", "wavpcm")},
    "oggdec": "oggenc -Q -q 9 -o a.ogg in.wav; oggdec -Q -o - a.ogg | cat > out",
    "lame": "lame --quiet in.wav a.mp3; lame --quiet --decode a.mp3 - | cat > out",
}


@pytest.mark.peer
@pytest.mark.parametrize("name", PIPED)
def test_what_programs_write_to_a_pipe_is_read_to_its_end(tmp_path, name):
    path = make(tmp_path, PIPED[name], "out")
    found = in_blocks(path, [777])
    assert found.shape == (2, sweep().shape[1])
    if name not in ("oggdec", "lame"):
        assert np.array_equal(found, soundfile.read(tmp_path / "in.wav", dtype="float32")[0].T)


@pytest.mark.peer
def test_what_espeak_says_is_read_to_its_end(tmp_path):
    run("espeak-ng --stdout hello > out", tmp_path)
    assert np.array_equal(read(tmp_path / "out")[0], decoded(tmp_path / "out", 1))


def test_lengths_that_announce_nothing_are_those_of_the_file(tmp_path):
    sound = sweep(0.1, channels=1)
    for length in (0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFFFE, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFF000 - 0x24):
        soundfile.write(tmp_path / "a.wav", sound.T, RATE, subtype="PCM_16")
        data = bytearray((tmp_path / "a.wav").read_bytes())
        at = data.index(b"data")
        struct.pack_into("<I", data, at + 4, length)
        struct.pack_into("<I", data, 4, length + 36 & 0xFFFFFFFF)
        (tmp_path / "a.wav").write_bytes(data)
        assert read(tmp_path / "a.wav")[0].shape == sound.shape, hex(length)


def test_gsm_is_as_long_as_its_blocks_and_their_announcement(tmp_path):
    """An odd number of blocks of 65 bytes is padded by a byte, which libsndfile takes for one more block."""
    path = tmp_path / "a.wav"
    for frames in (320, 3519, 3520, 3521, 3840):
        for container in ("WAV", "W64"):
            soundfile.write(path, sweep(1.0, 1, 8000)[0, :frames], 8000, format=container, subtype="GSM610")
            blocks = -(-frames // 320)
            assert read(path)[0].shape[1] == (frames if container == "WAV" else blocks * 320)
        soundfile.write(path, np.zeros(frames), 8000, format="WAV", subtype="GSM610")
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, data.index(b"fact") + 8, 0)
        path.write_bytes(data)
        assert read(path)[0].shape[1] == blocks * 320


@pytest.mark.parametrize("container", ["WAV", "CAF"])
def test_a_sound_chunk_of_no_length_is_empty_only_where_chunks_or_nothing_follow(tmp_path, container):
    """As a recorder leaves it that ended before it wrote the length, though that of the container may be right."""
    path, kind = tmp_path / "a", "<I" if container == "WAV" else ">q"
    soundfile.write(path, sweep(0.1, channels=1).T, RATE, format=container, subtype="PCM_16")
    whole = read(path)[0]
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    struct.pack_into(kind, data, at, 0)
    path.write_bytes(data)
    assert np.array_equal(read(path)[0], whole)
    for behind in (b"", b"LIST" + struct.pack(kind, 4) + b"INFO"):
        empty = bytearray(data[: at + struct.calcsize(kind)] + behind)
        if container == "WAV":
            struct.pack_into("<I", empty, 4, len(empty) - 8)
        path.write_bytes(empty)
        with pytest.raises(SoundFileError, match=r"no sound|not a sound file"):
            AudioReader(path)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_five_gigabytes_of_unknown_length_are_opened_at_once(tmp_path, length):
    """What follows a length that is none is no list of chunks, four bytes at a time."""
    form = struct.pack("<IHHIIHH", 16, 1, 2, 48000, 192000, 4, 16)
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt " + form + b"data" + struct.pack("<I", length))
    os.truncate(tmp_path / "a.wav", 44 + 5_000_000_000)
    with AudioReader(tmp_path / "a.wav") as reader:
        assert reader.frames == 1_250_000_000
        assert not reader.read(100).any()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"not a sound" * 100, "not a sound file"),
        (b"RIFF", "not a sound file"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "not a sound file"),
        (b"Creative Voice File\x1a", "not a sound file"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, content, expected):
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SoundFileError, match=expected) as caught:
        AudioReader(path)
    assert str(path) in str(caught.value)


def test_an_encoding_that_is_not_read_is_refused_with_what_to_do(tmp_path):
    soundfile.write(tmp_path / "a.caf", np.zeros(100), 8000)
    data = (tmp_path / "a.caf").read_bytes().replace(b"lpcm", b"opus")
    (tmp_path / "a.caf").write_bytes(data)
    with pytest.raises(SoundFileError, match=r"a\.caf: .*encoding.*ffmpeg -i IN OUT\.wav"):
        AudioReader(tmp_path / "a.caf")


def test_a_file_without_frames_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 1)), RATE)
    with pytest.raises(SoundFileError, match="0 frames"):
        AudioReader(tmp_path / "a.wav")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.wav"))
        for name, kind in [("pipe.wav", "a pipe"), ("s.wav", "a socket"), (".", "a folder"), ("/dev/null", "a device")]:
            with pytest.raises(SoundFileError, match=kind):
                AudioReader(tmp_path / name)
    with pytest.raises(SoundFileError, match="null byte"):
        AudioReader(tmp_path / "a\0b.wav")


def test_names_in_any_bytes_are_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", sweep(0.1).T, RATE)
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.raw")
    os.rename(tmp_path / "a.wav", strange)  # noqa: PTH104
    assert read(type(tmp_path)(strange))[0].shape == sweep(0.1).shape


def test_a_read_error_of_the_disk_is_reported(tmp_path, monkeypatch):
    """libsndfile would take it for the end."""
    from gramophone.realtime.files.segments import Segments

    soundfile.write(tmp_path / "a.wav", sweep(1.0).T, RATE)
    with AudioReader(tmp_path / "a.wav") as reader:
        reader.read(100)

        def fail(self, position, buffer):
            self.error = OSError(5, "Input/output error")
            return 0

        monkeypatch.setattr(Segments, "_read_file", fail)
        with pytest.raises(SoundFileError, match=r"a.wav: .*Input/output error"):
            reader.read(30_000)


def test_joined_flacs_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", sweep(0.5).T, RATE)
    (tmp_path / "b.flac").write_bytes((tmp_path / "a.flac").read_bytes() * 2)
    with pytest.raises(SoundFileError, match=r"b.flac"):
        read(tmp_path / "b.flac")


@pytest.mark.peer
def test_an_mp3_of_free_format_is_refused(tmp_path):
    path = make(tmp_path, f"{LAME} --freeformat -b 400 in.wav free.mp3", "free.mp3")
    with pytest.raises(SoundFileError, match="free format"):
        AudioReader(path)


@pytest.mark.peer
def test_sounds_that_play_at_once_are_refused(tmp_path):
    path = make(tmp_path, f"{FFMPEG} -map 0:a -map 0:a -c:a libvorbis two.ogg", "two.ogg")
    with pytest.raises(SoundFileError, match="2 sounds"):
        AudioReader(path)


def test_reading_needs_no_program(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    soundfile.write(tmp_path / "a.mp3", sweep(0.5).T, RATE)
    assert read(tmp_path / "a.mp3")[0].shape[0] == 2
