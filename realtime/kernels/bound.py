"""A kernel and what it works on, bound together: weights and state are taken apart once, not at every call.

numba takes every array of every argument apart when Python calls a kernel, and a network has forty. Each is an object
whose parts lie in three places, and in live audio all of them are cold: 80 us of a call went there, before the kernel
began. Here pointers and sizes of all arrays lie side by side in one small array, and a call passes its address (6 us).
Between kernels nothing changes: they pass the same tuples of arrays as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NoReturn

import numpy as np
from llvmlite import ir
from numba import from_dtype, typeof
from numba.core import types
from numba.core.types.containers import BaseTuple
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

_WORD = ir.IntType(64)


def bind(kernel: Callable[..., Any], parts: tuple[Any, ...], *examples: Any) -> Callable[..., Any]:
    """Return a kernel as a function of what comes after `parts`, compiled for arguments of the types of `examples`.

    The kernel takes `parts` as one argument, the first, and gets them back by `contents`. They are tuples of arrays in
    C order, tuples of those, and numbers; they must not be exchanged afterwards. A call does not check the types of its
    other arguments: arrays must be as the examples are. It takes a fraction of the time of a call by numba. It cannot
    be copied: a copy would still work on these parts.
    """
    kinds = _Bound(_kind(parts)), *map(_kind, examples)
    words = np.fromiter(_words(kinds[0].parts, parts), np.int64)
    compiled: Any = kernel
    compiled.compile(kinds)
    bound = _BoundKernel(compiled.overloads[kinds].entry_point, words.ctypes.data)
    bound.kept = parts, words  # for as long as the function is there
    return bound


def _kind(value: Any) -> Any:
    """Return the type that numba's `typeof` returns, without numpy's masked arrays, which that imports to refuse."""
    if isinstance(value, tuple):
        return BaseTuple.from_types(tuple(map(_kind, value)), type(value))
    if isinstance(value, np.ndarray) and value.flags.c_contiguous:
        return types.Array(from_dtype(value.dtype), value.ndim, "C", readonly=not value.flags.writeable)
    return typeof(value)


class _BoundKernel(partial[Any]):
    kept: tuple[Any, Any]

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        raise TypeError("a kernel is bound to its parts and cannot be copied: make it, and what holds it, anew")


def _words(kind: Any, value: Any) -> Iterator[int]:
    """Yield what `contents` reads of a value: address and shape of arrays, and numbers."""
    if isinstance(kind, BaseTuple):
        for inner, each in zip(kind.types, value, strict=True):
            yield from _words(inner, each)
    elif isinstance(kind, types.Array):
        assert value.flags.c_contiguous, f"an array {value.shape} with strides {value.strides}: expected C order"
        yield from (value.ctypes.data, *value.shape)
    else:
        yield int(np.float64(value).view(np.int64)) if kind == types.float64 else int(value)


class _Bound(types.Type):
    """The type of bound parts: their address."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts
        super().__init__(f"Bound({parts})")


register_model(_Bound)(models.OpaqueModel)


@unbox(_Bound)  # type: ignore[untyped-decorator]
def _unbox(_kind: Any, address: Any, context: Any) -> Any:
    return NativeValue(context.pyapi.long_as_voidptr(address), is_error=context.pyapi.c_api_error())


@intrinsic  # type: ignore[untyped-decorator]
def contents(typing: Any, bound: Any) -> Any:
    """Return the parts that a kernel was bound to."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        words, places = builder.bitcast(args[0], _WORD.as_pointer()), count()

        def next_word() -> Any:
            return builder.load(builder.gep(words, [_WORD(next(places))]))

        return _value(context, builder, bound.parts, next_word)

    return bound.parts(bound), generate


def _value(context: Any, builder: Any, kind: Any, next_word: Callable[[], Any]) -> Any:
    """Return the next value, made of as many words as `_words` yields."""
    if isinstance(kind, BaseTuple):
        inner = [_value(context, builder, each, next_word) for each in kind.types]
        return context.make_tuple(builder, kind, inner)
    if isinstance(kind, types.Array):
        from numba.np.arrayobj import populate_array  # a part of what is only loaded to compile

        array = context.make_array(kind)(context, builder)
        data = builder.inttoptr(next_word(), array.data.type)
        shape = [next_word() for _ in range(kind.ndim)]
        strides = [_WORD(context.get_abi_sizeof(context.get_data_type(kind.dtype)))]
        for size in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], size))
        populate_array(array, data, shape, strides, strides[-1], None)  # None: without a reference count
        return array._getvalue()
    word = next_word()
    return builder.bitcast(word, ir.DoubleType()) if kind == types.float64 else word
