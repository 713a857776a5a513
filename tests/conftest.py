"""What every test starts from."""

import os
import tempfile

import pytest
import torch

_CONFIG = tempfile.TemporaryDirectory(prefix="gramophone-config-")
os.environ["XDG_CONFIG_HOME"] = _CONFIG.name  # no test sees the presets of whoever runs it


@pytest.fixture(autouse=True)
def subnormal_numbers():
    """Threads of the live engine flush subnormal numbers to zero; hypothesis, on the same thread, wants them."""
    torch.set_flush_denormal(False)
