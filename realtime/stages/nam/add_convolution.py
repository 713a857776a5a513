"""A causal convolution of one output channel over a run of samples, written in LLVM IR with register tiling.

Like `matvec`, but vectorised over time: a tile of sums stays in registers while all taps of all inputs are added to it.
As a loop in numba it is not vectorised at all, as each index is checked for being negative: a tenth of the speed.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gramophone.realtime.kernels.matvec import spread, vector_at

_FLOAT = ir.FloatType()
_TILES = ((4, 16), (1, 16), (1, 1))
"""Vectors in a tile, samples in a vector."""


@intrinsic  # type: ignore[untyped-decorator]
def add_convolution(
    typing: Any,
    y: Any,
    o: Any,
    samples: Any,
    x: Any,
    row: Any,
    column: Any,
    width: Any,
    w: Any,
    at: Any,
    taps: Any,
    gap: Any,
) -> Any:
    """Add to `y[o, t]` the sum of `w[at + i * taps + k] * x[row + i, column + t - (taps - 1 - k) * gap]`.

    `t` is 0 to `samples - 1`, `i` 0 to `width - 1`, `k` 0 to `taps - 1`; `y` and `x` `(·, ·)`, `w` `(·,)`, float32 in
    C order; `y` must not overlap the others. Products are added one after the other, so a sum does not depend on
    `samples`.
    """
    places = [types.intp] * 2
    return types.void(y, *places, x, *[types.intp] * 3, w, *[types.intp] * 3), _generate


def _generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kinds = signature.args
    y, x, w = (context.make_array(kinds[place])(context, builder, args[place]) for place in (0, 3, 7))
    _, o, samples, _, row, column, width, _, at, taps, gap = args
    sums = _element(builder, y, o, o.type(0))
    newest = _element(builder, x, row, column)
    _, length = cgutils.unpack_tuple(builder, x.shape, 2)
    weights = builder.gep(w.data, [at])
    done = samples.type(0)
    for vectors, lanes in _TILES:
        end = builder.sub(samples, builder.urem(samples, samples.type(vectors * lanes)))
        with cgutils.for_range_slice(builder, done, end, samples.type(vectors * lanes), inc=True) as (first, _):
            _add_tile(builder, sums, newest, weights, (width, taps, gap, length), first, vectors, lanes)
        done = end
    return context.get_dummy_value()


def _element(builder: Any, array: Any, row: Any, column: Any) -> Any:
    """Return a pointer to an element of a 2-D array."""
    _, width = cgutils.unpack_tuple(builder, array.shape, 2)
    return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])


def _add_tile(
    builder: Any, sums: Any, newest: Any, weights: Any, shape: tuple[Any, ...], first: Any, vectors: int, lanes: int
) -> None:
    """Add all products to one tile of sums, from sample `first` on."""
    width, taps, gap, length = shape
    kind = ir.VectorType(_FLOAT, lanes)
    places = [builder.add(first, first.type(lanes * number)) for number in range(vectors)]
    totals = [cgutils.alloca_once(builder, kind) for _ in places]  # registers, once LLVM has seen them
    for total, place in zip(totals, places, strict=True):
        builder.store(builder.load(vector_at(builder, sums, place, kind), align=4), total)
    with cgutils.for_range(builder, taps) as tap:
        back = builder.mul(builder.sub(builder.sub(taps, taps.type(1)), tap.index), gap)
        past = builder.gep(newest, [builder.neg(back)])
        with cgutils.for_range(builder, width) as each:
            weight = builder.load(builder.gep(weights, [builder.add(builder.mul(each.index, taps), tap.index)]))
            value, source = spread(builder, weight, kind), builder.gep(past, [builder.mul(each.index, length)])
            for total, place in zip(totals, places, strict=True):
                sample = builder.load(vector_at(builder, source, place, kind), align=4)
                product = builder.fmul(sample, value, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for total, place in zip(totals, places, strict=True):
        builder.store(builder.load(total), vector_at(builder, sums, place, kind), align=4)
