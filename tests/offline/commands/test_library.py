"""Models of other people are added once their licence is agreed to, whole, and by whatever detours of the network."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, CheckpointError, save
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.cli.main import app
from gramophone.offline.commands import download
from gramophone.offline.commands.download import downloaded
from gramophone.offline.commands.library import add_models, demand_agreement
from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.presets.hashed_files import sha256_of
from gramophone.presets.model_library import LibraryError, own_models
from gramophone.presets.models import model_file
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "system"))


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    net = WaveNet(WaveNetShape(layers=2, cycle=2, residual=4, skip=4))
    save(tmp_path / "hiss.safetensors", net, Card(8_000, data=("noise: CC0",), licence="CC0"))
    return tmp_path / "hiss.safetensors"


def hissing(model="hiss", **values):
    return Preset("hissing", (StageSettings("voice", "wavenet", {"model": model, **values}),))


def gramophone(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_a_model_is_added_listed_shown_played_and_removed_by_name(model):
    added = gramophone("models", "add", model, "--agree", "--json")
    assert added.exit_code == 0, added.output
    (entry,) = json.loads(added.stdout)["added"]
    assert entry["name"] == "hiss"
    assert "hiss" in [listed["name"] for listed in json.loads(gramophone("models", "--json").stdout)]
    shown = json.loads(gramophone("models", "hiss", "--json").stdout)
    assert (shown["kind"], shown["licence"], shown["sha256"]) == ("wavenet", "CC0", sha256_of(model))
    assert shown["source"] == str(model)
    preset = complete(hissing())
    assert preset.stages[0].values["model"] == "hiss"
    Engine(preset, 8_000, 1).close()
    assert gramophone("models", "remove", "hiss").exit_code == 0
    with pytest.raises(PresetError, match=r"no model 'hiss'; expected .*; if you have .* gramophone models"):
        complete(hissing())


def test_a_preset_that_names_a_missing_model_says_how_to_get_it():
    with pytest.raises(PresetError, match=r"get it: gramophone models add 'https://there/hiss\.nam' --name hiss"):
        complete(hissing(source="https://there/hiss.nam"))


def test_nothing_is_kept_until_the_licence_is_agreed_to(model, monkeypatch):
    with pytest.raises(LibraryError, match="has to be agreed to: --agree"):
        add_models(str(model), "", "", agreed=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(LibraryError, match="not agreed to"):
        demand_agreement("hiss", sha256_of(model), "CC0", agreed=False, ask=lambda _: "n")
    assert not own_models()
    demand_agreement("hiss", sha256_of(model), "CC0", agreed=False, ask=lambda _: "y")
    add_models(str(model), "", "", agreed=False)  # agreed to once for these contents
    assert list(own_models()) == ["hiss"]


def test_a_model_whose_contents_changed_is_not_played(model):
    (kept,) = add_models(str(model), "", "", agreed=True)
    content = bytearray(kept.file.read_bytes())
    content[-1] ^= 1
    kept.file.write_bytes(content)
    with pytest.raises(PresetError, match="its contents are not what was added"):
        complete(hissing())


def test_models_of_all_users_are_found_after_ones_own(model, tmp_path):
    folder = tmp_path / "system" / "gramophone" / "models"
    folder.mkdir(parents=True)
    (folder / "hiss.safetensors").write_bytes(model.read_bytes())
    assert model_file("hiss") == folder / "hiss.safetensors"
    (kept,) = add_models(str(model), "hiss", "", agreed=True)
    assert model_file("hiss") == kept.file


def test_a_folder_is_added_whole_or_not_at_all(model, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.safetensors").write_bytes(model.read_bytes())
    (folder / "three.safetensors").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"three\.safetensors"):
        add_models(str(folder), "", "", agreed=True)
    assert not own_models()
    (folder / "three.safetensors").unlink()
    add_models(str(folder), "", "", agreed=True)
    assert list(own_models()) == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "name", "sha256", "message"),
    [
        ("missing.nam", "", "", "no such file or folder"),
        ("ftp://there/a.nam", "", "", "begins with http"),
        ("https://there/a.ts", "", "", "fetch it yourself"),
        ("MODEL", "voice", "", "comes with Gramophone; give another by --name"),
        ("MODEL", "", "00ff", "expected 00ff"),
        ("MODEL", "../out", "", "expected a short one without"),
    ],
)
def test_what_cannot_be_added_is_named(source, name, sha256, message, model):
    with pytest.raises(PresetError, match=message):
        add_models(source.replace("MODEL", str(model)), name, sha256, agreed=True)
    assert not own_models()


def test_another_model_of_the_same_name_is_not_replaced(model, tmp_path):
    add_models(str(model), "", "", agreed=True)
    torch.manual_seed(1)
    save(tmp_path / "other.safetensors", WaveNet(WaveNetShape(layers=2, cycle=2, residual=4, skip=4)), Card(8_000))
    with pytest.raises(LibraryError, match="there is another of this name"):
        add_models(str(tmp_path / "other.safetensors"), "hiss", "", agreed=True)
    assert model_file("hiss").read_bytes() == model.read_bytes()


class Unreliable(ThreadingHTTPServer):
    """A server of one file on loopback that breaks off after so many bytes of each answer."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.tag, self.breaks_after, self.ranges, self.asked = content, '"1"', [], True, []
        self.status = 200
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/files/hiss.safetensors"

    def end(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server, content = self.server, self.server.content
        server.asked.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if server.ranges and self.headers.get("Range") and self.headers.get("If-Range") == server.tag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = server.breaks_after.pop(0) if server.breaks_after else len(content)
        self.wfile.write(content[start : start + end])

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server(model):
    serving = Unreliable(model.read_bytes())
    yield serving
    serving.end()


def at_once(_):
    """Wait for nothing."""


def test_an_address_that_breaks_off_is_gone_on_with_and_each_byte_sent_once(server):
    size = len(server.content)
    server.breaks_after = [size // 3, size // 3]
    assert downloaded(server.url, 1 << 20, at_once).read_bytes() == server.content
    assert server.asked == [None, f"bytes={size // 3}-", f"bytes={2 * (size // 3)}-"]


def test_what_came_is_kept_for_the_next_call_when_every_try_fails(server):
    server.breaks_after = [100] * download.TRIES
    with pytest.raises(
        LibraryError, match=r"it ended after 500 of \d+ bytes; 500 bytes are kept, and the same command"
    ):
        downloaded(server.url, 1 << 20, at_once)
    assert downloaded(server.url, 1 << 20, at_once).read_bytes() == server.content
    assert server.asked[-1] == "bytes=500-"


def test_a_server_without_ranges_is_asked_for_all_of_it_again(server):
    server.ranges, server.breaks_after = False, [1000]
    assert downloaded(server.url, 1 << 20, at_once).read_bytes() == server.content


def test_a_file_that_changes_in_between_is_never_glued_to_the_old_one(server):
    server.breaks_after = [1000] * download.TRIES
    with pytest.raises(LibraryError):
        downloaded(server.url, 1 << 20, at_once)
    server.content, server.tag = server.content[::-1] + b"more", '"2"'
    assert downloaded(server.url, 1 << 20, at_once).read_bytes() == server.content


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (503, download.TRIES)])
def test_only_what_may_pass_is_tried_again(server, status, tries):
    server.status = status
    with pytest.raises(LibraryError, match=f"cannot be fetched: {status}"):
        downloaded(server.url, 1 << 20, at_once)
    assert len(server.asked) == tries


def test_a_file_that_is_too_large_is_refused_by_what_the_server_says(server):
    with pytest.raises(LibraryError, match="expected 1000 at most"):
        downloaded(server.url, 1000, at_once)


def test_a_model_is_added_from_an_address_by_the_name_of_its_file(server, model):
    server.breaks_after = [len(server.content) - 1]
    done = gramophone("models", "add", server.url, "--agree", "--sha256", sha256_of(model))
    assert done.exit_code == 0, done.output
    assert own_models()["hiss"].source == server.url
    Engine(complete(hissing()), 8_000, 1).close()
