"""A kernel and what it works on, bound together: weights and state are taken apart once, not at every call.

numba takes every array of every argument apart when Python calls a kernel, and a network has forty. Each is an object
whose parts lie in three places, and in live audio all of them are cold: 80 us of a call went there, before the kernel
began. Here pointers and sizes of all arrays lie side by side in one small array, and a call passes its address (6 us).
Between kernels nothing changes: they pass the same tuples of arrays as ever.

An argument that changes from call to call can be passed as the object that Python has (`SOUND`): what a kernel needs of
it is then read where NumPy keeps it, which is public and fixed (`PyArrayObject_fields`), without a call back to Python.
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

from gramophone.realtime.kernels.jit import jit

_WORD = ir.IntType(64)
_HEAD = object.__basicsize__ // 8
_TYPE, _DATA, _DIMENSIONS, _SHAPE, _STRIDES, _DTYPE, _FIELDS = (_HEAD + place for place in (-1, 0, 1, 2, 3, 5, 6))
"""Where an array has these, in words of 8 bytes; of dimensions, the number in half a word."""


def bind(kernel: Callable[..., Any], parts: tuple[Any, ...], *examples: Any) -> Callable[..., Any]:
    """Return a kernel as a function of what comes after `parts`, compiled for arguments of the types of `examples`.

    The kernel takes `parts` as one argument, the first, and gets them back by `contents`. They are tuples of arrays in
    C order, tuples of those, and numbers; they must not be exchanged afterwards. A call does not check the types of its
    other arguments: arrays must be as the examples are; `SOUND` is an example of anything. It takes a fraction of the
    time of a call by numba. It cannot be copied: a copy would still work on these parts.
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
    if value is SOUND:
        return _Object("sound")
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


class _Object(types.Type):
    """The type of what is passed as the object that Python has."""


SOUND = object()
"""The example of an argument that `rows_of` reads."""

for _opaque in (_Bound, _Object):
    register_model(_opaque)(models.OpaqueModel)


@unbox(_Bound)  # type: ignore[untyped-decorator]
def _unbox(_kind: Any, address: Any, context: Any) -> Any:
    return NativeValue(context.pyapi.long_as_voidptr(address), is_error=context.pyapi.c_api_error())


@unbox(_Object)  # type: ignore[untyped-decorator]
def _unbox_object(_kind: Any, value: Any, _context: Any) -> Any:
    return NativeValue(value)


@intrinsic  # type: ignore[untyped-decorator]
def _address(typing: Any, value: Any) -> Any:
    return types.int64(value), lambda _context, builder, _signature, args: builder.ptrtoint(args[0], _WORD)


def _array_at(dtype: Any) -> Any:
    """Return a function for kernels: of an address and a length, the array that is there."""
    kind = types.Array(dtype, 1, "C")

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        words = iter(args)
        return _value(context, builder, kind, lambda: next(words))

    def array_at(typing: Any, address: Any, length: Any) -> Any:
        return kind(types.int64, types.int64), generate

    return intrinsic(array_at)


_words_at, _floats_at = _array_at(types.int64), _array_at(types.float32)


def sound_kinds() -> tuple[int, int]:
    """Return what `rows_of` compares the type of an object and of its numbers with: a part to bind a kernel to."""
    return id(np.ndarray), id(np.dtype(np.float32))


@jit
def rows_of(sound: Any, kinds: tuple[int, int]) -> Any:
    """Return address, number, length, and distance in bytes of the rows of an argument that is `SOUND`.

    The number is -1 unless it is an array `(channels, frames)` of float32 whose rows are in order.
    """
    head = _words_at(_address(sound), _FIELDS)
    if head[_TYPE] == kinds[0] and head[_DTYPE] == kinds[1] and head[_DIMENSIONS] & 0xFFFFFFFF == 2:
        shape, strides = _words_at(head[_SHAPE], 2), _words_at(head[_STRIDES], 2)
        if strides[1] == 4 or shape[1] < 2:
            return head[_DATA], shape[0], shape[1], strides[0]
    return 0, -1, 0, 0


@jit
def row_of(rows: Any, channel: int) -> Any:
    """Return a row, float32 `(frames,)`, of those that `rows_of` found."""
    address, _, frames, step = rows
    return _floats_at(address + channel * step, frames)


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
