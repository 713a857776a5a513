"""MP3s that are cut, joined or damaged: what is read of them, and what is remarked."""

import ctypes
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from support.encoders import make

from gramophone.realtime.files import AudioReader, mpeg, read

LAME = "lame --quiet"


@pytest.mark.peer
@pytest.mark.parametrize(
    "options", ["-t -V4", "-t -V2 -m m", "-t -b 192 -m s", "-t -p -b 128", "-t -V4 --resample 22.05"]
)
def test_an_mp3_cut_from_a_broadcast_begins_with_silence_and_goes_on_as_it_was(tmp_path, options, capfd):
    """Its first frames need data of frames that are gone. From the first on that needs none all is as in the whole."""
    path = make(tmp_path, f"{LAME} {options} in.wav a.mp3", "a.mp3")
    whole, cut = path.read_bytes(), tmp_path / "b.mp3"
    for start in (5_000, 10_000, 15_000):
        cut.write_bytes(whole[start:])
        with AudioReader(cut) as reader:
            found = reader.read(reader.frames)
            (remark,) = reader.remarks or ("its first 0.00 s are silence",)
        truth = read(path)[0][:, -found.shape[1] :]
        silent = round(float(re.match(r"its first ([\d.]+) s are silence", remark)[1]) * reader.rate)
        assert silent < reader.rate / 2
        assert np.abs(found[:, : max(silent - 600, 0)]).max(initial=0) < 1e-4
        assert np.abs(found - truth)[:, silent + 2000 :].max() < 1e-4
    assert capfd.readouterr().err == ""


@pytest.mark.peer
def test_joined_mp3s_are_remarked_on(tmp_path):
    path = make(
        tmp_path, f"{LAME} -V4 in.wav a.mp3; {LAME} -b 128 in.wav b.mp3; cat a.mp3 b.mp3 > joined.mp3", "joined.mp3"
    )
    with AudioReader(path) as reader:
        assert re.match(r"goes on for 3\.\d\d s behind the end that it announces", *reader.remarks)


@pytest.mark.peer
def test_an_mp3_whose_frames_are_damaged_inside_is_remarked_on_where_its_decoder_fails(tmp_path, capfd):
    """It does in some of many damaged frames; whatever blocks are read, it fails as often."""
    data = bytearray(make(tmp_path, f"{LAME} -t -b 128 -m m in.wav a.mp3", "a.mp3").read_bytes())
    rng, at = np.random.default_rng(0), 0
    while at + 4 < len(data):
        size = mpeg.parse_header(bytes(data[at : at + 4])).size
        if at > len(data) // 3:
            data[at + 30 : at + size] = rng.bytes(size - 30)
        at += size
    (tmp_path / "b.mp3").write_bytes(data)
    found = []
    for block in (1152, 100_000):
        with AudioReader(tmp_path / "b.mp3") as reader:
            for _ in reader.blocks(block):
                pass
            found.append(
                re.fullmatch(r"damaged: its decoder failed (\d+) times, first near (\d\.\d) s", *reader.remarks)
            )
    assert found[0][1] == found[1][1]
    assert 0.9 < float(found[0][2]) < 2
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="libc's variable stderr is Linux's")
def test_only_what_the_decoder_of_mp3s_prints_is_kept_from_the_terminal(capfd):
    libc = ctypes.CDLL(None)
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    with mpeg.decoder_messages() as messages:
        libc.fprintf(stderr, b"by C\n\n")
        libc.fprintf(stderr, b"\n[src/libmpg123/layer3.c:do_layer3():1804] error: dequantization failed!\n")
        libc.fprintf(stderr, b"by C, too")
        os.write(2, b"by Python\n")
        subprocess.run(["sh", "-c", "echo by a child >&2"], check=True)
        child = os.fork()
        if not child:
            libc.fprintf(stderr, b"by a fork\n")
            os._exit(0)
        os.waitpid(child, 0)
    assert messages.failures == 1
    assert capfd.readouterr().err == "by Python\nby a child\nby a fork\nby C\n\nby C, too"
    libc.fprintf(stderr, b"afterwards")
    assert capfd.readouterr().err == "afterwards"
