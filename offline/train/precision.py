"""Products in bfloat16 where a device has instructions for them, in single precision where it has not.

On one core, a step of the content encoder takes .16 s in bfloat16 instead of .40 where there are such instructions
(AVX-512 BF16), and 6.6 s instead of .5 where there are none and each product is emulated; one of WaveNet S 22 s
instead of 2.1 (`python -m gramophone.offline.bench.training products bf16`, `fp32`; AMD Zen 3).
"""

from __future__ import annotations

import functools

import torch

from gramophone.offline.train.plan import AUTO_PRECISION

_NARROW, _PLAIN = "bf16-mixed", "32-true"
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Their names on x86 and on ARM, as torch calls them."""


def precision_on(device: str, asked: str) -> str:
    """Return the floating point format of training on `cpu`, `cuda` or `mps`, where `auto` asks for the quickest."""
    if asked != AUTO_PRECISION:
        return asked
    return _NARROW if device != "cpu" or _has_bfloat16() else _PLAIN


def quick_products() -> torch.autocast:
    """Return a context in which this processor's products are as quick as it has them."""
    return torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16())


@functools.cache
def _has_bfloat16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch reports x86 alone
        return torch.cpu._is_avx512_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS)
