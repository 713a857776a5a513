"""What every test starts from."""

import pytest
import torch


@pytest.fixture(autouse=True)
def subnormal_numbers():
    """Threads of the live engine flush subnormal numbers to zero; hypothesis, on the same thread, wants them."""
    torch.set_flush_denormal(False)
