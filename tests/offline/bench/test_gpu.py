"""The GPU bench runs whole on a CPU: what can be simulated agrees with torch, the rest says why it is left out."""

import json
import time

import pytest
import torch

from gramophone.offline.bench import gpu, scale
from gramophone.offline.bench.gpu_training import training_steps

pytestmark = pytest.mark.slow


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_without_a_gpu_every_part_has_figures_or_a_reason():
    figures = gpu.measure(4.0)
    assert figures["device"] == "none"
    assert figures["sampler_kernel_under_the_simulator"]["is_within"]
    executors = figures["executors_by_buffers_on_the_cpu"]
    assert executors.keys() == {"decoder", "vlae_encoder", "voice_encoder", "tagger"}
    assert all(figure["is_within"] for figure in executors.values())
    for part in ("graph_steps", "sampler", "training", "tests"):
        assert figures[part] == "skipped: no CUDA device"
    json.dumps(figures)


def test_a_part_that_fails_costs_no_other_and_one_that_is_not_reached_is_named(monkeypatch):
    def broken():
        raise ValueError("no kernel")

    parts = [("first", broken), ("second", lambda: 1), ("third", lambda: 2)]
    monkeypatch.setattr(gpu, "_parts", lambda _device: iter(parts))
    clock = iter([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 90.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    figures = gpu.measure(1.0)
    assert figures["first"] == "failed: ValueError: no kernel"
    assert figures["second"] == 1
    assert figures["third"] == "not reached in 1 minutes"


@pytest.mark.train
@pytest.mark.parametrize("kind", ["wavenet", "vlae", "voice", "tagger", "digits"])
def test_every_trainer_has_a_step_in_both_precisions(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = training_steps("cpu", (kind,), compiled=False, steps=2).values()
    assert found.keys() == {"fp32", "bf16"}
    assert all(seconds > 0 for seconds in found.values())


def test_steps_of_a_graph_are_timed_for_every_model():
    figures = gpu.graph_steps("cpu", (256,), rounds=2)
    assert figures.keys() == {"decoder, 256", "vlae_encoder, 256", "voice_encoder, 256"}


def test_a_slope_is_that_of_the_work(tmp_path):
    def made(count):
        return lambda: sum(range(2000 * count))

    slope = scale._slope("sums", (1, 2, 4, 8), made)
    assert slope.low <= slope.slope <= slope.high
    assert slope.ms[3] == pytest.approx(8 * slope.ms[0], rel=0.4)
    batch = {"times_real_time_a_core": 10.0, "core_hours": 1000}
    scale.write([slope], {"first": 300.0, "each_more": 10.0}, batch, "1", tmp_path)
    assert f"**{slope.slope:g}**" in (tmp_path / "scale.md").read_text()
    assert (tmp_path / "scale.png").is_file()
