"""What `gramophone export` writes runs without our code and does what the model does; else it is not written."""

import json
import subprocess
import sys

import nn_tilde
import numpy as np
import pytest
import torch
from support import anyone, latent, voice
from support.torchscript import Filterbank, save
from typer.testing import CliRunner

from gramophone.models import checkpoint
from gramophone.models.checkpoint import Card
from gramophone.models.layers.streaming import Streaming
from gramophone.models.nets.content import ContentEncoder, ContentShape
from gramophone.models.nets.tagger import Tagger, TaggerShape
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.cli.main import app
from gramophone.offline.export import measured
from gramophone.offline.export.nn_file import write_nn
from gramophone.offline.export.nn_methods import nn_model_of
from gramophone.offline.export.onnx_file import write_onnx
from gramophone.offline.export.parts import Signal, StreamPart, gaussian, parts_of, sound
from gramophone.realtime.kernels.onnx_export import ExportError
from gramophone.realtime.stages.latent import torchscript

ALONE = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("gramophone", "nn_tilde", "cached_conv"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import numpy as np
given = dict(np.load(sys.argv[2]))
"""
"""The start of a script that cannot import our code: arguments are the model's file and an .npz of inputs."""
ONNX_ALONE = """
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
inputs = [one.name for one in session.get_inputs()]
states = [one.name for one in session.get_overridable_initializers()]
outputs = [one.name for one in session.get_outputs()]
fixed = {name: given[name] for name in inputs if given[name].ndim == 2}
moving = {name: np.split(given[name], int(given["steps"]), axis=2) for name in inputs if given[name].ndim == 3}
state, found = {}, []
for step in range(int(given["steps"])):
    made = session.run(outputs, fixed | {name: series[step] for name, series in moving.items()} | state)
    found.append(made[0])
    state = {name: value for name, value in zip(("old" + n[3:] for n in outputs[1:]), made[1:]) if name in states}
np.save(sys.argv[3], np.concatenate(found, axis=2))
"""
NN_ALONE = """
import torch
model = torch.jit.load(sys.argv[1])
model.set_speaker(1); model.set_pitch(3.0); model.set_breath(-2.0)
assert (model.get_speaker(), model.get_pitch()) == ((1,), (3.0,))
pieces = torch.split(torch.from_numpy(given["x"]), 3 * int(given["hop"]), 2)
with torch.no_grad():
    found = torch.cat([getattr(model, str(given["method"]))(piece) for piece in pieces], 2)
np.save(sys.argv[3], found.numpy())
"""


def alone(tmp_path, script, file, **given):
    """Run a script in a process that cannot import our code, and return what it found."""
    np.savez(tmp_path / "given.npz", **given)
    arguments = [str(file), str(tmp_path / "given.npz"), str(tmp_path / "found.npy")]
    done = subprocess.run([sys.executable, "-c", ALONE + script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(tmp_path / "found.npy")


def tagger_checkpoint(path):
    shape = TaggerShape(tags=("drums", "bass"), bands=16, widths=(4, 6, 8))
    checkpoint.save(path, Tagger(shape), Card(16_000, data=("noise: CC0",), licence="CC0"))


def wavenet_checkpoint(path, **shape):
    net = WaveNet(WaveNetShape(layers=4, cycle=4, residual=8, skip=8, **shape))
    checkpoint.save(path, net, Card(8_000, speakers=tuple("abc"[: net.shape.speakers])))


def content_checkpoint(path):
    shape = ContentShape(rate=8_000, hop=64, bands=16, width=8, dilations=(1, 2), content=4)
    checkpoint.save(path, ContentEncoder(shape), Card(8_000, 64))


CHECKPOINTS = {
    "voice": lambda path: checkpoint.save(path, voice.made(), voice.card()),
    "vlae": latent.checkpoint,
    "anyone": lambda path: checkpoint.save(path, anyone.made(), anyone.card()),
    "content": content_checkpoint,
    "tagger": tagger_checkpoint,
    "wavenet": lambda path: wavenet_checkpoint(path, speakers=3),
    "logistics": lambda path: wavenet_checkpoint(path, output="logistics", vector=2, local=3, hop=4, upsampling=(2,)),
    "unconditioned": wavenet_checkpoint,
}


STEP_BY_SAMPLE = {"wavenet", "logistics", "unconditioned", "vlae"}


@pytest.fixture(scope="module")
def voice_for_nn(tmp_path_factory):
    """A voice as nn~ has it, its card, and its file."""
    folder = tmp_path_factory.mktemp("voice")
    CHECKPOINTS["voice"](folder / "voice.safetensors")
    model, card = nn_model_of(folder / "voice.safetensors")
    write_nn(folder / "voice.ts", model, card)
    return model, card, folder / "voice.ts"


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] if kind in STEP_BY_SAMPLE else []) for kind in CHECKPOINTS],
)
def test_onnx_files_run_without_our_code_and_give_what_the_model_gives(kind, tmp_path):
    torch.manual_seed(0)
    CHECKPOINTS[kind](tmp_path / "net.safetensors")
    parts, card = parts_of(tmp_path / "net.safetensors")
    assert parts
    for part in parts:
        file = tmp_path / f"{part.name}.onnx"
        figures = write_onnx(file, part, card)
        assert figures.seconds >= 10
        steps = 40
        rng = np.random.default_rng(1)
        inputs = [signal.series(rng, steps) for signal in part.inputs]
        named = {f"in{number}": array for number, array in enumerate(inputs)}
        found = alone(tmp_path, ONNX_ALONE, file, steps=steps, **named)
        with torch.no_grad():
            truth = part.module(*[torch.from_numpy(inputs[0]), None, *map(torch.from_numpy, inputs[1:])])[0].numpy()
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-5 * max(1, np.abs(truth).max()), err_msg=part.name)


def test_an_onnx_file_says_what_it_is(tmp_path):
    import onnx

    tagger_checkpoint(tmp_path / "net.safetensors")
    (part,), card = parts_of(tmp_path / "net.safetensors")
    write_onnx(tmp_path / "net.onnx", part, card)
    (entry,) = onnx.load(tmp_path / "net.onnx").metadata_props
    facts = json.loads(entry.value)
    assert (entry.key, facts["part"], facts["inputs"]) == ("gramophone", "tagger", {"in0": "sound"})
    assert (facts["rate"], facts["hop"], facts["card"]["licence"]) == (16_000, 8192, "CC0")


@pytest.mark.parametrize("method", ["encode", "decode", "forward"])
def test_a_file_for_nn_runs_without_our_code_and_gives_what_the_model_gives(method, tmp_path, voice_for_nn):
    model, card, file = voice_for_nn
    encode, decode = model.methods["encode"], model.methods["decode"]
    values = torch.tensor([[1.0, len(card.speakers) - 1, 0, 3, 0, -2, 0]])
    first = decode if method == "decode" else encode
    x = first.inputs[0].series(np.random.default_rng(1), 30)
    found = alone(tmp_path, NN_ALONE, file, x=x, hop=first.inputs[0].per_step, method=method)
    with torch.no_grad():
        truth = first.module(torch.from_numpy(x), None, values)[0]
        if method == "forward":
            truth = decode.module(truth, None, values)[0]
    np.testing.assert_allclose(found, truth.numpy(), rtol=0, atol=1e-5 * max(1, float(truth.abs().max())))


def test_a_file_for_nn_has_all_that_the_package_of_nn_gives_its_own(tmp_path, voice_for_nn):
    model, card, file = voice_for_nn
    ours, theirs = torch.jit.load(file), torch.jit.load(save(Filterbank(), tmp_path / "bank.ts"))
    general = {name for name in dir(nn_tilde.Module) if name.startswith(("get_", "set_", "is_", "clear_"))}
    assert general <= {name for name in general if hasattr(ours, name) == hasattr(theirs, name)}
    assert ours.get_methods() == ["encode", "decode", "forward"]
    assert ours.get_attributes() == [attribute.name for attribute in model.attributes]
    assert ours.get_sample_rate() == card.rate
    assert ours.encode_params.tolist() == [2, 1, len(ours.encode_output_labels), card.hop]
    assert ours.decode_params.tolist() == [len(ours.decode_input_labels), card.hop, 1, 1]
    for attribute in model.attributes:
        assert getattr(ours, f"{attribute.name}_params").tolist() == [nn_tilde.TYPE_HASH[type(attribute.default)]]


def test_each_of_a_batch_has_a_state_of_its_own(tmp_path):
    CHECKPOINTS["content"](tmp_path / "net.safetensors")
    model, card = nn_model_of(tmp_path / "net.safetensors")
    write_nn(tmp_path / "net.ts", model, card)
    playing = torch.jit.load(tmp_path / "net.ts")
    x = torch.from_numpy(np.concatenate([sound(np.random.default_rng(seed), (1, 1, 8 * 64)) for seed in range(3)]))
    with torch.no_grad():
        found = torch.cat([playing.encode(piece) for piece in x.split(128, 2)], 2)
        playing.reset()
        alone_each = [torch.jit.load(tmp_path / "net.ts").encode(one[None]) for one in x]
    np.testing.assert_allclose(found, torch.cat(alone_each), rtol=0, atol=1e-5)


def test_a_voice_exported_for_nn_plays_in_our_own_latent_stage(tmp_path, monkeypatch, voice_for_nn):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    model, card, file = voice_for_nn
    found = torchscript.trust(file)
    assert (found.rate, found.hop, found.inputs, found.outputs) == (card.rate, card.hop, 2, 1)
    assert found.attributes == {attribute.name: attribute.default for attribute in model.attributes}
    assert abs(found.delay - card.delay) <= card.hop


class Counting(Streaming):
    """Python that a trace freezes."""

    def initial_state(self, x):
        return (x.new_zeros(1),)

    def step(self, x, state, *controls):
        return x * float(state[0]), (state[0] + 1,)


def test_what_fails_its_own_check_is_not_written(tmp_path):
    part = StreamPart("counting", Counting(), (Signal("sound", 1, 8, gaussian),), 8_000, 8)
    with pytest.raises(ExportError, match=r"counting: the file differs from the model by .* so it is not written"):
        write_onnx(tmp_path / "net.onnx", part, Card(8_000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["phones", "--to", "onnx", "--out", "F.onnx"], "no part of a model of kind phones streams"),
        (["garble", "--to", "nn~", "--out", "F.ts"], "neither an encoder nor a decoder"),
        (["voice", "--to", "onnx", "--part", "nose", "--out", "F.onnx"], "expected one of encoder, loudness, decoder"),
        (["voice", "--to", "nn~", "--part", "decoder", "--out", "F.ts"], "holds all of the model's methods"),
        (["voice", "--to", "onnx", "--out", "missing/F.onnx"], "there is no folder missing; make it first"),
    ],
)
def test_what_cannot_be_exported_is_named(words, message, tmp_path, monkeypatch, capsys):
    from gramophone.offline.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gramophone", "export", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_writes_every_part_and_prints_what_it_measured(tmp_path):
    latent_file = tmp_path / "voice.safetensors"
    CHECKPOINTS["voice"](latent_file)
    done = CliRunner().invoke(
        app, ["export", str(latent_file), "--to", "onnx", "--out", str(tmp_path / "v.onnx"), "--json"]
    )
    assert done.exit_code == 0, done.output
    files = json.loads(done.stdout)["files"]
    assert [one["part"] for one in files] == ["encoder", "loudness", "decoder"]
    assert [one["file"] for one in files] == [str(tmp_path / f"v.{one['part']}.onnx") for one in files]
    assert all(one["difference"] <= 1e-5 and one["speed"] > 0 for one in files)
    usage = CliRunner().invoke(app, ["export", "voice", "--to", "tape", "--out", "x.ts"])
    assert usage.exit_code == 2


def test_the_latency_of_a_delay_is_measured_to_the_hop():
    from gramophone.models.layers.composition import Delay

    part = StreamPart("delay", Delay(40), (Signal("sound", 1, 8, gaussian),), 8_000, 8)
    with torch.no_grad():
        figures = measured.measured(part, lambda x, _: part.module(torch.from_numpy(x[0]))[0].numpy())
    assert (figures.difference, figures.latency) == (0, 40)
