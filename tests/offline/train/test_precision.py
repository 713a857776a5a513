"""Training is in bfloat16 where the device has such products, and in single precision where they would be emulated."""

import time

import pytest
import torch

from gramophone.offline.train import precision


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_processor_trains_in_what_it_has(has, chosen, monkeypatch):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: has)
    assert precision.precision_on("cpu", "auto") == chosen
    assert precision.precision_on("cuda", "auto") == "bf16-mixed"
    assert precision.precision_on("cpu", "16-mixed") == "16-mixed"


@pytest.mark.slow
def test_no_product_is_emulated_on_this_processor():
    def best_s(dtype):
        one = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            one @ one
            times.append(time.perf_counter() - start)
        return min(times)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        quick, plain = best_s(torch.bfloat16), best_s(torch.float32)
    finally:
        torch.set_num_threads(threads)
    chosen = precision.precision_on("cpu", "auto")
    assert quick < 2 * plain if chosen == "bf16-mixed" else plain < quick
