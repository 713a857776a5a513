"""The doctor looks at all that playing needs, and tells what to do where something is missing."""

import json

import pytest
from typer.testing import CliRunner

from gramophone.offline.cli.main import app
from gramophone.offline.commands import doctor, warm
from gramophone.realtime.control.midi import MidiError
from gramophone.realtime.live.devices import list as device_list
from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.stages.plugins import scan


@pytest.fixture(autouse=True)
def _any_speed(monkeypatch):
    monkeypatch.setattr(doctor, "_speed", lambda: "not measured: another test may have the processor")


def checks(*options):
    done = CliRunner().invoke(app, ["doctor", "--json", *options])
    return done.exit_code, {row["name"]: row for row in json.loads(done.stdout)}


def test_a_busy_machine_is_not_taken_for_a_slow_one():
    assert doctor.speed_found(20.0, 19.0).endswith("20x real time, 48 kHz stereo, block 256")
    assert "0.3x by the clock, as other programs use the processor" in doctor.speed_found(20.0, 0.3)
    with pytest.raises(RuntimeError, match="at block 256: too slow to play live"):
        doctor.speed_found(0.8, 0.8)


def test_everything_that_playing_takes_is_looked_at():
    code, found = checks()
    assert {"sound card", "jack", "midi", "plug-ins", "compiler", "caches", "presets", "formats", "torch"} <= set(found)
    assert code == 0, found


def test_a_machine_without_devices_is_no_failure_and_each_gets_an_advice(monkeypatch, tmp_path):
    def no_jack(first):
        raise AudioError("no JACK server runs (start one with jackd)")

    def no_midi(backend=None):
        raise MidiError("no MIDI on this machine")

    monkeypatch.setattr(device_list, "jack_devices", no_jack)
    monkeypatch.setattr(device_list, "find_devices", lambda: ([], ["PortAudio finds no device"]))
    monkeypatch.setattr("gramophone.realtime.control.midi.devices", no_midi)
    monkeypatch.setattr(scan, "folders", lambda: [tmp_path / "vst3"])
    code, found = checks()
    assert code == 0
    for name, what_to_do in {
        "sound card": "gramophone devices",
        "jack": "jackd",
        "midi": "modprobe snd-seq",
        "plug-ins": str(tmp_path / "vst3"),
    }.items():
        assert not found[name]["ok"]
        assert what_to_do in found[name]["found"]


def test_a_compiler_that_does_not_work_is_a_failure(monkeypatch):
    def broken():
        raise OSError("LLVM cannot be loaded")

    monkeypatch.setattr(warm, "compiles", broken)
    code, found = checks()
    assert code == 1
    assert "LLVM cannot be loaded" in found["compiler"]["found"]


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, found = checks()
    assert code == 0
    assert "XDG_CACHE_HOME" in found["caches"]["found"]


def test_lines_for_people_tell_missing_from_failed(capsys):
    doctor.show(
        [
            doctor.Check("torch", True, True, "2.6"),
            doctor.Check("jack", False, False, "no server"),
            doctor.Check("osc", False, True, "no network"),
        ],
        json=False,
    )
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok", "missing", "FAIL"]


def test_warming_runs_each_preset_and_names_what_does_not_run(monkeypatch):
    monkeypatch.setattr(warm, "names", lambda: ["hall", "gone"])
    steps = []
    done = warm.warm(lambda share, step: steps.append((share, step)))
    assert done.presets == 2
    assert list(done.failed) == ["gone"]
    assert [share for share, _ in steps] == sorted(share for share, _ in steps)
