"""What a result keeps of its input beside the samples, and what of a sound behind its end."""

import numpy as np
import pytest
import soundfile
from support.render import QUIET, gramophone

from gramophone.offline.render import RenderError, RenderRequest, render_file
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.files import EXTENSIONS, AudioReader, AudioWriter, Metadata, read


def test_clipped_samples_are_counted(tmp_path):
    sound = np.zeros((1000, 1))
    sound[100:107] = 1.5
    soundfile.write(tmp_path / "in.aiff", sound, 44100, subtype="FLOAT")
    with AudioWriter(tmp_path / "a.flac", 44100, 1, 1000) as writer:
        writer.write(sound.T.astype(np.float32))
    assert writer.clipped == 7


def test_a_tail_keeps_the_end_of_a_reverb(tmp_path):
    click = np.zeros((48000, 1))
    click[-1] = 0.9
    soundfile.write(tmp_path / "click.wav", click, 48000)
    preset = tmp_path / "echo.toml"
    preset.write_text('[[stages]]\nkind = "reverb"\nroom = 0.5\n')
    lengths = {}
    for tail in ("0", "1.5", "auto"):
        out = tmp_path / tail
        result = gramophone("render", tmp_path / "click.wav", "--out", out, "--preset", preset, "--tail", tail)
        assert result.exit_code == 0, result.output
        sound, _ = read(out / "click.wav")
        lengths[tail] = sound.shape[1]
    assert lengths["0"] == 48000
    assert lengths["1.5"] == 48000 + 72000
    assert 48000 + 12000 < lengths["auto"] < 48000 * 10
    assert np.abs(sound[:, -1:]).max() > 1e-4
    arguments = ("--preset", preset, "--tail", "auto", "--block", "256")
    gramophone("render", tmp_path / "click.wav", "--out", tmp_path / "blocks", *arguments)
    assert read(tmp_path / "blocks" / "click.wav")[0].shape[1] == lengths["auto"]


def test_what_players_need_is_kept(tmp_path):
    """The chunks of a broadcast WAV, byte for byte, and its speakers."""
    chunks = {
        b"bext": bytes(338) + (12345678).to_bytes(8, "little") + bytes(256),
        b"cue ": (1).to_bytes(4, "little") + bytes(24),
        b"smpl": bytes(36) + bytes(range(24)),
        b"iXML": b"<BWFXML/>",
    }
    sound = np.random.default_rng(0).normal(0, 0.1, (4800, 6))
    soundfile.write(tmp_path / "in.wav", sound, 48000, format="WAVEX", subtype="PCM_24")
    data = bytearray((tmp_path / "in.wav").read_bytes())
    mask = data.index(b"fmt ") + 8 + 20
    data[mask : mask + 4] = (0x3F).to_bytes(4, "little")
    for name, content in chunks.items():
        data += name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    (tmp_path / "in.wav").write_bytes(data)
    gramophone("render", tmp_path / "in.wav", "--out", tmp_path / "out", *QUIET)
    result = (tmp_path / "out" / "in.wav").read_bytes()
    for name, content in chunks.items():
        assert name + len(content).to_bytes(4, "little") + content in result, name
    start = result.index(b"fmt ") + 28
    assert int.from_bytes(result[start : start + 4], "little") == 0x3F
    soundfile.write(tmp_path / "two.flac", sound[:, :2], 48000)
    (tmp_path / "two").mkdir()
    with AudioReader(tmp_path / "in.wav") as reader:
        assert "cue points" in reader.metadata.lost_in("FLAC", 6)


def test_tags_go_from_any_format_to_any_other(tmp_path):
    tags = {"title": "Tïtel", "artist": "An Artist", "comment": "said"}
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float32)
    for ending in EXTENSIONS:
        with AudioWriter(tmp_path / f"a{ending}", 48000, 2, 4800, Metadata(tags)) as writer:
            writer.write(sound)
        with AudioReader(tmp_path / f"a{ending}") as reader:
            assert reader.metadata.tags == tags, ending
            assert reader.frames == 4800 or ending == ".mp3"


def test_the_format_that_is_kept_has_the_bits_of_the_input_and_is_another_setting(tmp_path):
    sound = np.random.default_rng(0).normal(0, 0.1, (4800, 2))
    kinds = {"a.wav": "PCM_24", "b.wav": "PCM_U8", "c.flac": "PCM_16", "d.aiff": "PCM_16", "e.wav": "ULAW"}
    for name, subtype in kinds.items():
        soundfile.write(tmp_path / name, sound, 48000, subtype=subtype)
    command = ["render", *(tmp_path / name for name in kinds), "--out", tmp_path / "out", *QUIET]
    for _ in range(2):
        result = gramophone(*command, "--format")
        assert result.exit_code == 0, result.output
    assert "5 there already" in result.output
    written = {name: soundfile.info(tmp_path / "out" / name).subtype for name in kinds}
    assert written == {**kinds, "e.wav": "PCM_16"}
    assert gramophone(*command).output.count("made with other settings") == 3


@pytest.mark.parametrize("is_gone", [False, True], ids=["written to", "removed"])
def test_a_file_that_is_written_to_while_it_is_read_has_no_result(tmp_path, is_gone):
    """One that is only removed has: it is read to its end all the same."""
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, np.random.default_rng(0).normal(0, 0.1, (48000, 1)), 48000)

    def meddle(seconds):
        if is_gone:
            source.unlink(missing_ok=True)
        else:
            with source.open("ab") as file:
                file.write(bytes(1000))

    request = RenderRequest(Preset("p", (StageSettings("gain", "gain", {"gain": 0.0}),)))
    if is_gone:
        render_file(source, target, request, meddle)
        assert read(target)[0].shape == (1, 48000)
        return
    with pytest.raises(RenderError, match=r"in\.wav: changed while it was read"):
        render_file(source, target, request, meddle)
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
