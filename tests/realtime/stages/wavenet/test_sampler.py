"""The sampler draws what the model predicts, symbol by symbol, for any chunk sizes, on every engine."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gramophone.models.layers import mulaw
from gramophone.models.nets.wavenet import SIZES, WaveNet, WaveNetShape
from gramophone.realtime.stages.wavenet import engines
from gramophone.realtime.stages.wavenet.kernel import CpuEngine
from gramophone.realtime.stages.wavenet.sampler import Sampler, SamplerError
from gramophone.realtime.stages.wavenet.torch_engine import TorchEngine

pytestmark = pytest.mark.slow


TINY = WaveNetShape(layers=6, cycle=3, residual=8, skip=12, components=3, speakers=2, speaker=3)


def made(shape, seed=0):
    """A network with random weights whose logits are spread out."""
    torch.manual_seed(seed)
    net = WaveNet(shape).eval().requires_grad_(False)
    net.head[3].weight.mul_(8)
    return net


def conditions(net, frames=1):
    if not net.shape.condition:
        return None
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, net.shape.condition, frames, generator=generator).numpy()


@pytest.mark.parametrize("output", ["mulaw", "logistics"])
@pytest.mark.parametrize(("temperature", "nucleus"), [(1.0, 1.0), (0.7, 0.8), (0.0, 1.0), (1.3, 0.3)])
@pytest.mark.parametrize("shape", [TINY, replace(SIZES["S"], components=10)], ids=["tiny", "S"])
def test_the_kernel_equals_torch(shape, output, temperature, nucleus):
    net = made(replace(shape, output=output))
    held = conditions(net, 3)
    first, second = (
        Sampler(net, 2, seed=5, engine=engine).generate(300, held, temperature, nucleus)
        for engine in (CpuEngine, TorchEngine)
    )
    if output == "mulaw":
        np.testing.assert_array_equal(first, second)
        assert temperature == 0 or len(np.unique(first)) > 10
    else:
        np.testing.assert_allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("output", ["mulaw", "logistics"])
def test_any_chunks_and_other_voices_change_nothing(output):
    net = made(replace(TINY, output=output))
    held = conditions(net)
    whole = Sampler(net, 3, seed=7).generate(500, held, 0.9, 0.95)
    sampler, sizes = Sampler(net, 2, seed=7), [1, 2, 97, 300, 0, 100]
    pieces = [sampler.generate(size, held, 0.9, 0.95) for size in sizes]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), whole[:2])
    assert not np.array_equal(whole[0], whole[1])
    assert not np.array_equal(Sampler(net, 1, seed=8).generate(500, held, 0.9, 0.95), whole[:1])


def test_conditions_hold_for_their_frame():
    net = made(TINY)
    held = conditions(net, 4)
    whole = Sampler(net).generate(80, held)
    sampler = Sampler(net)
    parts = [sampler.generate(20, held[:, :, frame : frame + 1]) for frame in range(4)]
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)


def test_logits_are_those_of_the_teacher_forced_pass_over_ten_seconds():
    net = made(SIZES["S"])
    symbols = mulaw.encode(real_voice(10.0))
    with torch.inference_mode():
        expected, _ = net(symbols[None, None])
    said = Sampler(net).predict(symbols[None].numpy())
    assert said.shape == expected.shape == (1, 256, 160_000)
    assert np.abs(said - expected.numpy()).max() < 1e-4


def real_voice(seconds, rate=16_000):
    import soxr

    from gramophone.presets import CLIPS
    from gramophone.realtime.files import read

    voice, found = read(CLIPS / "voice.flac")
    sound = torch.from_numpy(soxr.resample(voice[0], found, rate).astype(np.float32))
    return sound.repeat(1 + round(seconds * rate) // len(sound))[: round(seconds * rate)]


def test_predicting_in_chunks_remembers():
    net = made(replace(TINY, output="logistics"))
    sound = (np.random.default_rng(0).random((2, 64), np.float32) * 2 - 1).astype(np.float32)
    held = conditions(net)
    whole = Sampler(net, 2).predict(sound, held)
    sampler = Sampler(net, 2)
    parts = [sampler.predict(sound[:, start : start + 16], held) for start in range(0, 64, 16)]
    np.testing.assert_array_equal(np.concatenate(parts, 2), whole)
    with torch.inference_mode():
        expected, _ = net(torch.from_numpy(sound)[:, None], None, torch.from_numpy(held).expand(2, -1, -1))
    np.testing.assert_allclose(whole, expected.numpy(), atol=1e-5)


def test_conditions_that_do_not_fit_are_refused():
    sampler = Sampler(made(TINY), 2)
    for wrong, samples in [(None, 4), (np.zeros((1, 4, 1)), 4), (np.zeros((3, 3, 1)), 4), (np.zeros((1, 3, 3)), 4)]:
        with pytest.raises(SamplerError, match=r"expected \(1 or 2, 3, n\)"):
            sampler.generate(samples, wrong)
    with pytest.raises(SamplerError, match="at least 1"):
        Sampler(made(TINY), 0)


def test_torch_is_chosen_only_when_numba_does_not_work_and_says_so(monkeypatch, caplog):
    net = made(TINY)
    assert isinstance(Sampler(net).engine, CpuEngine)
    assert isinstance(Sampler(net, device="cuda").engine, CpuEngine)  # there is no GPU: the CPU's engine still works
    assert not caplog.records

    monkeypatch.setitem(engines._ENGINES, "cpu", "gramophone.no_numba_here:CpuEngine")
    assert isinstance(Sampler(net).engine, TorchEngine)
    assert "no_numba_here" in caplog.text


SIMULATED = """
import numpy as np
from dataclasses import replace
from test_sampler import Sampler, TorchEngine, WaveNetShape, conditions, made
from gramophone.realtime.stages.wavenet.cuda import CudaEngine as Engine

shape = WaveNetShape(layers=3, cycle=2, residual=4, skip=5, components=3, speakers=2, speaker=3)
logistics, mulaw = (made(replace(shape, output=output)) for output in ("logistics", "mulaw"))
held = conditions(mulaw)

def same(net, chunks, temperature, nucleus):
    ours, theirs = (Sampler(net, 2, seed=3, engine=engine) for engine in (Engine, TorchEngine))
    for size in chunks:
        drawn = [sampler.generate(size, held, temperature, nucleus) for sampler in (ours, theirs)]
        np.testing.assert_allclose(*drawn, atol=1e-4)

def same_said(net, given):
    said = [Sampler(net, 2, engine=engine).predict(given, held) for engine in (Engine, TorchEngine)]
    np.testing.assert_allclose(*said, atol=1e-5)

for temperature, nucleus in ((1.0, 1.0), (0.8, 0.7), (0.0, 1.0)):
    same(logistics, (8, 3), temperature, nucleus)
same(mulaw, (1, 1), 0.8, 0.7)
same_said(logistics, np.full((2, 6), 0.25))
same_said(mulaw, np.array([[5], [250]]))
print("same")
"""


def test_the_gpu_kernel_draws_what_torch_draws_under_the_simulator():
    here = os.path.dirname(__file__)  # noqa: PTH120 - a search path
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": here}
    done = subprocess.run([sys.executable, "-c", SIMULATED], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "same", done.stderr
