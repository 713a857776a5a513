"""A RAVE v2, built and exported by its own code, plays in the latent stage as its file does in torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.stage import noise

from gramophone.realtime.files import AudioWriter
from gramophone.realtime.stage import Format
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent import torchscript
from gramophone.realtime.stages.latent.stage import LatentStage

ROOT = Path(__file__).parents[4]
PACKAGES = ROOT / ".venv" / "rave"
RATE, HOP, LATENTS, HOPS = 44_100, 2048, 16, 12
pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not (PACKAGES / "rave").is_dir(), reason="needs RAVE's own code (make .venv/installed-dev)"),
]


@pytest.fixture(scope="module")
def rave(tmp_path_factory):
    """The exported file, trusted."""
    folder = tmp_path_factory.mktemp("rave")
    script = ROOT / "tests" / "support" / "rave_export.py"
    done = subprocess.run([sys.executable, script, PACKAGES, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(folder / "data"))
        found = torchscript.trust(folder / "rave_streaming.ts")
        assert (found.rate, found.hop, found.latents, found.outputs) == (RATE, HOP, LATENTS, 1)
        yield folder / "rave_streaming.ts"


SOUND = noise(HOPS * HOP)


def stage(path, **values):
    settings = {"model": str(path), **values}
    knobs = {knob.name: knob.default for knob in keys_of("latent", settings, None).knobs}
    return LatentStage(Format(RATE, 1), knobs | settings)


def played(path, sizes, change=None, **values):
    """Return what the stage makes of the sound in blocks of these sizes, by RAVE's own random numbers from one seed."""
    playing = stage(path, **values)
    torch.manual_seed(1)  # RAVE draws its latents, and those that it was exported without
    pieces, start = [], 0
    while start < SOUND.shape[1]:
        for size in sizes:
            if change and start <= change[0] < start + size:
                playing.set(*change[1:])
            pieces.append(playing.process(SOUND[:, start : start + size]))
            start += size
    late = playing.delay - torchscript.trusted(path).delay
    found = np.concatenate(pieces, axis=1)[0]
    playing.close()
    return found[late:]


@torch.inference_mode()
def direct(path, change=lambda z, hop: z):
    """Return what the file makes of the sound hop by hop, its latents changed on the way."""
    model = torch.jit.load(str(path)).eval()
    torch.manual_seed(1)
    hops = []
    for hop, samples in enumerate(np.split(SOUND, HOPS, axis=1)):
        hops.append(model.decode(change(model.encode(torch.from_numpy(samples)[None]), hop))[0, 0].numpy())
    return np.concatenate(hops)


def same(found, truth):
    np.testing.assert_allclose(found, truth[: len(found)], rtol=0, atol=1e-5 * max(1, np.abs(truth).max()))
    assert np.abs(truth[: len(found)]).max() > 1e-3


@pytest.mark.parametrize("sizes", [(64,), (441,), (1024,), (HOP,), (5000,), (1, 3000, 77)])
def test_at_any_host_block_the_sound_is_that_of_the_file_run_directly(rave, sizes):
    same(played(rave, sizes), direct(rave))


def test_offset_and_scale_move_one_latent_each(rave):
    def change(z, hop):
        return z * torch.tensor([1, 0.5] + [1] * 14)[:, None] + torch.tensor([1.5] + [0] * 15)[:, None]

    same(played(rave, (512,), **{"z1": 1.5, "z2-scale": 0.5}), direct(rave, change))


def test_freeze_holds_the_latents_of_its_moment(rave):
    held = {}

    def change(z, hop):
        if hop <= 4:
            held["z"] = z.clone()
        return held["z"]

    found = played(rave, (HOP,), (5 * HOP, "freeze", True))
    truth = direct(rave, change)
    same(found[: 5 * HOP], truth)
    tail = found[9 * HOP :]
    assert np.abs(tail - truth[9 * HOP : 9 * HOP + len(tail)]).max() < 1e-4


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "tone.wav"
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(3 * RATE) / RATE)[None].astype(np.float32)
    with AudioWriter(path, RATE, 1, tone.shape[1]) as writer:
        writer.write(tone)
    return str(path)


def latents_of(path, **values):
    """Return the latents that are decoded, `(n, 16)`."""
    playing, decoded = stage(path, **values), []
    synthesise = playing._codec.synthesise
    playing._codec.synthesise = lambda frame, *rest: decoded.append(frame.latents) or synthesise(frame, *rest)
    torch.manual_seed(1)
    for start in range(0, SOUND.shape[1], HOP):
        playing.process(SOUND[:, start : start + HOP])
    playing.close()
    return np.array(decoded)


def test_one_shot_style_moves_the_latents_to_the_clips_by_its_strength(rave, clip):
    plain = latents_of(rave)
    half, whole = (latents_of(rave, clip=clip, strength=strength) for strength in (0.5, 1.0))
    none = latents_of(rave, clip=clip, strength=0.0)
    np.testing.assert_allclose(none, plain, atol=1e-5)
    assert 0 < np.abs(half - plain).mean() < np.abs(whole - plain).mean()
    assert np.isfinite(whole).all()


def test_morph_and_recall_go_to_other_latents(rave, clip):
    plain = latents_of(rave)
    stored = " ".join(["0.25"] * LATENTS)
    np.testing.assert_allclose(latents_of(rave, stored=stored, recall=1.0), np.full_like(plain, 0.25), atol=1e-5)
    np.testing.assert_allclose(latents_of(rave, stored=stored, recall=0.5), (plain + 0.25) / 2, atol=1e-5)
    assert np.abs(latents_of(rave, clip2=clip, morph=1.0) - plain).mean() > 0.01
