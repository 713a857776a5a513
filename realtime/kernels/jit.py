"""Compilation of numeric functions with numba, cached on disk from one start of the program to the next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher


class _TolerantCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, where files that cannot be read count as no cache.

    numba unpickles the index before it compares the index's time stamp with the source's. An index that an older
    version of the source wrote may name a class that has been renamed since; numba then raises `AttributeError`, and
    does so at every start, since it never rewrites the file. The same holds for a file that was cut short.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None where there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling raises whatever the bytes lead to
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code for a signature; where that fails, the next start compiles again."""
        with suppress(OSError):
            super().save_overload(sig, data)


def jit(function: Callable[..., Any], forceinline: bool = True, reassociate: bool = False) -> Callable[..., Any]:
    """Return `function`, defined at the top level of a module, compiled to machine code that releases the GIL.

    Multiplications and additions may be contracted (fused). Sums are computed in the order in which they are written,
    unless `reassociate` lets the compiler reorder them. `forceinline` inlines the function into every caller.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "reassoc"} if reassociate else {"contract"},
        "error_model": "numpy",
        "forceinline": forceinline,
    }
    compiled: Any = njit(**options)(function)
    if isinstance(compiled, Dispatcher):  # not so under NUMBA_DISABLE_JIT
        with suppress(RuntimeError):  # numba finds no folder that can be written: nothing is cached
            # numba has no public way to pass a cache of one's own
            compiled._cache = _TolerantCache(function)  # type: ignore[attr-defined]
    return compiled  # type: ignore[no-any-return]
