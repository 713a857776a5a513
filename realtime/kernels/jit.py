"""Compilation of numeric functions with numba, cached on disk from one start of the program to the next; and `tanh`.

What a network's activation needs is here, as all kernels compile it into themselves. A wheel can hold code that was
compiled where it was built, in `PREBUILT`: it is for one family of processors, whatever processor that was.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_features, parse_assembly
from numba import config, njit
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.dispatcher import Dispatcher
from numba.core.environment import Environment
from numba.core.extending import _Intrinsic
from numba.core.runtime import rtsys

from gramophone.realtime.kernels.compilations import compile_elsewhere, note_compilation
from gramophone.realtime.system.cache_folder import alone, cache_folder


@cache
def _load_numpy_functions() -> None:
    """Load numba's NumPy functions without SciPy, before the first function is compiled.

    numba imports that only to learn whether there is a BLAS, which takes as long as a voice's code. Where a function
    needs one, it looks again.
    """
    from numba.np import linalg

    looks, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = looks


PREBUILT = Path(__file__).parent / "prebuilt"
FAMILY = "x86-64-v3"
"""The processors that prebuilt code is for: x86 since 2013 (Haswell) and 2017 (Zen), by the name LLVM has for them."""
FAMILY_FEATURES = (
    *("avx", "avx2", "bmi", "bmi2", "cmov", "cx16", "cx8", "f16c", "fma", "fxsr", "lzcnt", "mmx", "movbe"),
    *("popcnt", "sahf", "sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3", "xsave"),
)
_PACKAGE = Path(__file__).resolve().parents[2]
_COMPILED = Dispatcher, _Intrinsic
_kept_in: list[Path] = []


class _Kept(CompileResultCacheImpl):  # type: ignore[misc]
    """What is kept of a function.

    numba keeps LLVM's code beside the machine code, to link it into others, and reads it at every start. Of what Python
    calls, nothing but its names is needed: what kernels call is kept apart. It also imports the modules of all its own
    functions that were compiled into a kernel, for their globals, which machine code does not use.
    """

    def reduce(self, compiled: Any) -> Any:
        """Return what is written of a compiled function."""
        (name, kind, kept), *others, environments = super().reduce(compiled)
        if kind == "object":
            names = compiled.fndesc.llvm_func_name, compiled.fndesc.llvm_cpython_wrapper_name
            defined = "".join(f'define void @"{each}"() {{ unreachable }}\n' for each in names)
            kept = kept[0], parse_assembly(defined).as_bitcode()
        return (name, kind, kept), *others, tuple(map(_without_globals, environments))


class _CompiledCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, in the user's cache folder, mended in some respects.

    - numba unpickles the index before it compares its stamp with the source's. An index that an older version of the
      source wrote may name a class that has been renamed since; numba then raises `AttributeError`, and does so at
      every start, since it never rewrites the file. Here, files that cannot be read count as no cache.
    - numba's stamp covers the file of the function alone, but the compiled code contains the functions that it calls,
      and constants from any file. Here, the stamp covers the files of those functions and the values of constants, too.
    - Two processes that keep code for two types of arguments at once may give both files one name, so that the index
      leads to code for other arguments. Here, one process writes at a time, and code for other arguments is not used.
    - What the cache lacks may be prebuilt, or be compiled in another process (`compiling_elsewhere`).
    - numba looks through all that it could compile before it loads anything, a third of a worker's start. Here, it does
      so before it compiles.

    `called` is the ending of the files' names: code for kernels to call is kept apart from code for Python to call.
    `NUMBA_CACHE_DIR` names another folder, as with numba itself.
    """

    _impl_class = _Kept

    def __init__(self, function: Any, called: str) -> None:
        super().__init__(function)
        if _kept_in:
            self._cache_path = str(_within(_kept_in[0], function))
        elif not config.CACHE_DIR:
            inside = self._impl.locator.get_suitable_cache_subpath(function.__code__.co_filename)
            self._cache_path = str(cache_folder("numba", inside))
        stamp = _stamp(function.__globals__)
        base = self._impl.filename_base + called
        self._cache_file = IndexDataCacheFile(self._cache_path, base, stamp)
        self._prebuilt = IndexDataCacheFile(str(_within(PREBUILT, function)), base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None where there is none that can be used."""
        found = self._load(sig, target_context)
        if found is None and self._can_be_kept() and compile_elsewhere():
            found = self._load(sig, target_context)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code for a signature; where that fails, the next start compiles again."""
        with suppress(OSError), self._alone():
            super().save_overload(sig, data)

    def _load(self, sig: Any, target_context: Any) -> Any:
        """Return what is kept, or prebuilt; what was kept and cannot be used is removed."""
        rtsys.initialize(target_context)  # the functions of numba's runtime, which compiled code calls
        found = None
        try:
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
            _require_same_arguments(found, sig)
        except Exception:  # unpickling raises whatever the bytes lead to
            with suppress(OSError), self._alone():
                self.flush()
            found = None
        if found is None and runs_prebuilt():
            with suppress(Exception):
                triple, own = target_context.codegen().magic_tuple()[0], self._index_key(sig, target_context.codegen())
                data = self._prebuilt.load((sig, (triple, *family()), own[2]))
                found = self._impl.rebuild(target_context, data) if data else None
                _require_same_arguments(found, sig)
        return found

    def _can_be_kept(self) -> bool:
        with suppress(OSError):
            Path(self._cache_path).mkdir(parents=True, exist_ok=True)
        return os.access(self._cache_path, os.W_OK)

    def _alone(self) -> AbstractContextManager[None]:
        folder = Path(self._cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        return alone(folder / "lock")


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that only kernels call: linked into theirs, it needs no machine code of its own.

    numba makes it for each, which took a seventh of the time, and keeps it; here, what is kept is LLVM's code.
    """

    codegen = SimpleNamespace(set_env=lambda _name, _environment: None)
    """What numba sets the function's environment by; it is set in the code of those that call it."""

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: it cannot be called by its address."""
        return 0

    def serialize_using_object_code(self) -> Any:
        """Return what is kept of it."""
        return self.serialize_using_bitcode()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _LinkedCompiler(Compiler):  # type: ignore[misc]
    """Compiles into a `_LinkedLibrary`."""

    def compile_extra(self, func: Any) -> Any:
        """Compile a function."""
        self.state.library = _LinkedLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class _LazyCache(NullCache):  # type: ignore[misc]
    """The cache of a function, made when its code is first asked for: of most functions, a start needs none."""

    def __init__(self, function: Any, called: str) -> None:
        self._function, self._called = function, called

    @cached_property
    def _kept(self) -> Any:
        try:
            return _CompiledCache(self._function, self._called)
        except RuntimeError:  # numba finds no folder that can be written: nothing is cached
            return NullCache()

    @property
    def cache_path(self) -> Any:
        """The folder of its files, or None."""
        return self._kept.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        return self._kept.load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code for a signature, and set the environments of the functions that were linked into it."""
        for environment in () if self._called else data._find_referenced_environments():
            data.library.codegen.set_env(environment.env_name, environment)
        self._kept.save_overload(sig, data)


def _without_globals(environment: Environment) -> Environment:
    """Return the environment of a function of numba's, which is read without its module; of another, as it is."""
    bare = Environment(vars(builtins))
    bare.env_name = environment.env_name
    bare.consts[:] = environment.consts
    return bare if environment.globals["__name__"].startswith("numba.") else environment


def family() -> tuple[str, str]:
    """Return name and features of the processors that prebuilt code is for, as numba's cache has them.

    They are also what `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` take.
    """
    return FAMILY, ",".join(f"+{feature}" for feature in FAMILY_FEATURES)


@cache
def runs_prebuilt() -> bool:
    """Return whether code for `FAMILY` is there and runs here; not so where the user compiles for another processor."""
    if config.CPU_NAME is not None or not PREBUILT.is_dir():
        return False
    try:
        here = get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this system's
        return False
    return all(here.get(feature) for feature in FAMILY_FEATURES)


def keep_compiled_in(folder: Path) -> None:
    """Keep what is compiled in a folder as `PREBUILT` is, in place of the user's cache.

    Call it before any module with compiled functions is imported.
    """
    _kept_in[:] = [folder]


def _within(folder: Path, function: Any) -> Path:
    """Return where a function's code is kept below a folder, wherever the package is installed."""
    source = Path(function.__code__.co_filename).resolve()
    inside = source.relative_to(_PACKAGE) if source.is_relative_to(_PACKAGE) else Path(source.name)
    return folder / inside.parent


def _require_same_arguments(found: Any, signature: Any) -> None:
    """Check that code is for the arguments that it is to be used with; `signature` is those, or has them.

    Raises:
        ValueError: it is for others.
    """
    if found is not None and tuple(found.signature.args) != tuple(getattr(signature, "args", signature)):
        raise ValueError(f"code for {found.signature.args}, expected {signature}")


def jit(
    function: Callable[..., Any],
    forceinline: bool = True,
    reassociate: bool = False,
    short: bool = False,
) -> Callable[..., Any]:
    """Return `function`, defined at the top level of a module, compiled to machine code that releases the GIL.

    Multiplications and additions may be contracted (fused). Sums are computed in the order in which they are written,
    unless `reassociate` lets the compiler reorder them. `forceinline` inlines the function into every caller.
    One that is `short` keeps the GIL, as another thread that took it would keep the sound waiting for longer than that.
    """
    options: dict[str, Any] = {
        "nogil": not short,
        "fastmath": {"contract", "reassoc"} if reassociate else {"contract"},
        "error_model": "numpy",
        "forceinline": forceinline,
        "no_cfunc_wrapper": True,  # nothing is called by its address
    }
    report_compilations()
    compiled: Any = njit(**options)(function)
    if isinstance(compiled, Dispatcher):  # not so under NUMBA_DISABLE_JIT

        @cache
        def called() -> Any:
            """Return the function for kernels to call: without what Python needs for a call, a sixth of all work."""
            inner: Any = njit(**options, no_cpython_wrapper=True, pipeline_class=_LinkedCompiler)(function)
            inner._cache = _LazyCache(function, ".called")
            return inner

        # numba has no public way to pass a cache of one's own, nor to have another function called by kernels
        vars(compiled).update(
            _cache=_LazyCache(function, ""),
            get_call_template=lambda args, kws: called().get_call_template(args, kws),
            get_overload=lambda signature: called().get_overload(signature),
        )
    return compiled  # type: ignore[no-any-return]


@cache
def report_compilations() -> None:
    """Pass on to `Compilations` what numba compiles from now on."""
    event.register("numba:compile", _Listener())


class _Listener(event.Listener):  # type: ignore[misc]
    def on_start(self, event: Any) -> None:
        _load_numpy_functions()
        note_compilation(event.data["dispatcher"].py_func.__name__.strip("_").replace("_", " "))

    def on_end(self, event: Any) -> None:
        """Do nothing: the next function is named when it starts."""


def _stamp(namespace: Mapping[str, Any]) -> str:
    """Return a digest of all that compiled code of a module depends on, given its globals."""
    modules = _modules(namespace)
    return hashlib.sha256(b"".join(_digest(path, modules[path]) for path in sorted(modules))).hexdigest()


def _modules(namespace: Mapping[str, Any]) -> dict[Path, Mapping[str, Any]]:
    """Return the globals, by file, of a module, given its own, and of all whose compiled functions it can call."""
    found: dict[Path, Mapping[str, Any]] = {}
    waiting = [namespace]
    while waiting:
        module = waiting.pop()
        if (path := _resolved(module["__file__"])) not in found:
            found[path] = module
            if path not in _calls:
                _calls[path] = tuple(_called(module))
            waiting.extend(_calls[path])
    return found


@cache
def _resolved(file: str) -> Path:
    return Path(file).resolve()


def _called(namespace: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the globals of the modules whose compiled functions a module imports, by name or with their module."""
    package = namespace["__name__"].partition(".")[0]
    for value in namespace.values():
        if isinstance(value, _COMPILED):
            yield value.__wrapped__.__globals__  # type: ignore[union-attr]
        elif isinstance(value, ModuleType) and value.__name__.partition(".")[0] == package:
            inner = vars(value)
            if any(isinstance(each, _COMPILED) for each in inner.values()):
                yield inner


_calls: dict[Path, tuple[Mapping[str, Any], ...]] = {}
_digests: dict[Path, bytes] = {}


def _digest(path: Path, namespace: Mapping[str, Any]) -> bytes:
    """Return a digest of a module's source and of the numbers among its globals, which code is compiled with."""
    if path not in _digests:
        named = {name: repr(value) for name, value in namespace.items() if _is_constant(value)}
        named |= {name: repr(value.tobytes()) for name, value in namespace.items() if isinstance(value, np.ndarray)}
        _digests[path] = hashlib.sha256(path.read_bytes() + repr(sorted(named.items())).encode()).digest()
    return _digests[path]


def _is_constant(value: Any) -> bool:
    """Return whether numba takes a global value for a constant: a number, or tuples of them."""
    return all(map(_is_constant, value)) if isinstance(value, tuple) else isinstance(value, int | float | np.generic)


_F = np.float32


@jit
def tanh(x: Any) -> Any:
    """Return tanh within 3e-7, as a ratio of polynomials on the range where float32 does not round it to 1."""
    x = min(max(x, _F(-7.9)), _F(7.9))
    s = x * x
    p = s * _F(-2.76076847742355e-16) + _F(2.00018790482477e-13)
    p = p * s + _F(-8.60467152213735e-11)
    p = p * s + _F(5.12229709037114e-08)
    p = p * s + _F(1.48572235717979e-05)
    p = p * s + _F(6.37261928875436e-04)
    p = p * s + _F(4.89352455891786e-03)
    q = s * _F(1.19825839466702e-06) + _F(1.18534705686654e-04)
    q = q * s + _F(2.26843463243900e-03)
    q = q * s + _F(4.89352518554385e-03)
    return x * p / q
