"""What is to be known about a file that was read all the same is printed by every command that reads it, once."""

import logging

import numpy as np
import pytest
import soundfile
from support.encoders import RATE, unended
from support.render import gramophone

from gramophone.offline.data.corpus import Limits, gather
from gramophone.offline.render.render_file import RenderError
from gramophone.presets import CLIPS, PresetError
from gramophone.realtime.control.performance.clip_import import import_clip
from gramophone.realtime.files import AudioReader, collected_remarks, publish_remarks, read

VOICE = soundfile.read(CLIPS / "voice.flac", frames=3 * RATE)[0]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with two Oggs that lack the mark of their end, a sound that has all, and presets that name a clip."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("a.ogg", "b.ogg"):
        unended(tmp_path / name, sound=VOICE)
    soundfile.write(tmp_path / "c.wav", VOICE, RATE)
    (tmp_path / "clip.toml").write_text('[[stages]]\nkind = "style"\nclip = "b.ogg"\n')
    (tmp_path / "room.toml").write_text('[[stages]]\nkind = "convolution"\nimpulse = "b.ogg"\n')
    return tmp_path


@pytest.fixture
def remark(tmp_path):
    return unended(tmp_path / "z.oga", seconds=0.1)


COMMANDS = {
    "render": ("render", "a.ogg", "c.wav", "--preset", "clip.toml", "--out", "out"),
    "render by two": ("render", "a.ogg", "b.ogg", "c.wav", "--preset", "wide", "--out", "out", "--jobs", "2"),
    "render as JSON": ("render", "a.ogg", "b.ogg", "--preset", "wide", "--out", "out", "--json"),
    "play": ("play", "a.ogg", "--preset", "room.toml", "--duration", "7"),
    "stylise": ("stylise", "a.ogg", "b.ogg", "--out", "d.wav"),
    "stylise in two passes": ("stylise", "a.ogg", "b.ogg", "--method", "mosaic", "--out", "d.wav"),
    "stylise slowly": ("stylise", "a.ogg", "b.ogg", "--method", "stft", "--steps", "1", "--out", "d.wav"),
    "match": ("match", "a.ogg", "b.ogg", "--chain", "wide", "--evaluations", "1", "--jobs", "1", "--out", "d.toml"),
    "tag": ("tag", "a.ogg", "b.ogg"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_prints_a_remark_once(files, remark, command):
    result = gramophone(*command)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if remark in line]
    assert len(lines) == 2, result.stderr
    for name, line in zip(("a.ogg", "b.ogg"), sorted(lines, key=lambda line: "b.ogg" in line), strict=True):
        assert line.startswith("warning: ")
        assert name in line


@pytest.mark.parametrize(
    "command",
    [
        ("enrol", "a.ogg", "--name", "ann"),
        ("dream", "a.ogg", "--tag", "choir", "--steps", "1", "--out", "d.wav"),
        ("play", "c.wav", "--preset", "clip.toml"),
    ],
    ids=lambda command: command[0],
)
def test_what_is_kept_from_an_earlier_call_is_remarked_on_again(files, remark, command):
    (files / "b.ogg").replace(files / "a.ogg")
    (files / "clip.toml").write_text('[[stages]]\nkind = "style"\nclip = "a.ogg"\n')
    for _ in range(2):
        result = gramophone(*command)
        assert result.exit_code == 0, result.output
        assert [line for line in result.stderr.splitlines() if remark in line and "a.ogg: " in line], result.stderr
        (files / "d.wav").unlink(missing_ok=True)
        (files / "d.png").unlink(missing_ok=True)


def test_play_remarks_on_what_it_clips_and_on_samples_that_are_no_numbers_in_sound_and_clip(files):
    loud = VOICE[:, None] * 40
    loud[100] = np.nan
    soundfile.write(files / "loud.wav", loud, RATE, subtype="FLOAT")
    (files / "clip.toml").write_text('[[stages]]\nkind = "style"\nclip = "loud.wav"\nstrength = 0\n')
    for _ in range(2):
        result = gramophone("play", "loud.wav", "--preset", "clip.toml", "--quiet", "--out", "d.flac", "--overwrite")
        lines = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
        assert [line for line in lines if line.startswith("warning: loud.wav: 1 samples were NaN")], lines
        assert [line for line in lines if "/loud.wav: 1 samples were NaN" in line], lines
        assert [line for line in lines if line.startswith("warning: d.flac: ") and "clipped by the format" in line], (
            lines
        )


@pytest.mark.parametrize("command", [("play",), ("render", "--out", "out"), ("stylise", "c.wav", "--out", "d.wav")])
def test_a_rate_that_no_stage_is_made_for_is_refused(files, command):
    soundfile.write(files / "slow.wav", VOICE[:100], 1)
    try:
        refusal = gramophone(command[0], "slow.wav", *command[1:]).stderr
    except (PresetError, RenderError) as error:
        refusal = str(error)
    assert "a rate of 1 Hz; expected 500 to 1000000 Hz" in refusal


def test_a_clip_that_is_taken_over_carries_the_remark(files, remark, caplog):
    assert remark in import_clip(files / "a.ogg", "ann").warnings
    assert not caplog.records


def test_recordings_to_learn_from_are_read_with_a_remark_in_their_report(files, remark, caplog):
    for name in ("b.ogg", "z.oga"):
        (files / name).unlink()
    for _ in range(2):  # the second time from what is kept
        corpus = gather([str(files)], 16_000, Limits(least_minutes=0))
        assert list(corpus.report())[-2:] == [
            "read all the same, with a remark: 1",
            f"  {files / 'a.ogg'}: {remark}",
        ]
        assert corpus.as_dict()["remarks"] == {str(files / "a.ogg"): (remark,)}
    assert not caplog.records


def test_who_looks_at_the_header_alone_gets_no_remark(files, remark, caplog):
    with AudioReader(files / "a.ogg") as reader:
        assert reader.remarks == (remark,)
    assert not caplog.records
    read(files / "a.ogg")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_the_innermost_list_gets_a_remark():
    with collected_remarks(of_all_threads=True) as outer:
        publish_remarks([("a", "first")])
        with collected_remarks() as inner:
            publish_remarks([("b", "second"), ("b", "second")])
        publish_remarks([("c", "third")])
    assert (outer, inner) == ([("a", "first"), ("c", "third")], [("b", "second")])
