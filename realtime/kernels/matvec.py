"""The matrix-vector product that the kernels spend their time in, written in LLVM IR with register tiling.

A tile of sums stays in registers while all inputs are added to it. As a loop in numba the product is compiled behind
checks for overlapping arrays, a hundred instructions a call, and loads and stores every sum again for every few inputs:
a sample of WaveNet S takes a third longer.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FLOAT = ir.FloatType()
_TILES = ((4, 16), (1, 16), (1, 1))
"""Vectors in a tile, floats in a vector: four vectors keep the multipliers busy, the other sizes take the remainder."""


@intrinsic  # type: ignore[untyped-decorator]
def add_product(typing: Any, y: Any, v: Any, x: Any, u: Any, w: Any, layer: Any) -> Any:
    """Add `x[u] @ w[layer]` to `y[v]`: `y` `(·, n)`, `x` `(·, m or more)`, `w` `(L, m, n)`; float32, C order.

    `y` must not overlap the others. Each sum adds its inputs in order, so it does not depend on `n` or on alignment.
    """
    return types.void(y, types.intp, x, types.intp, w, types.intp), _generate


def _generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kinds = signature.args
    y, x, w = (context.make_array(kinds[place])(context, builder, args[place]) for place in (0, 2, 4))
    _, inputs, outputs = cgutils.unpack_tuple(builder, w.shape, 3)
    sums, inputs_row = _row(builder, y, args[1]), _row(builder, x, args[3])
    weights = builder.gep(w.data, [builder.mul(args[5], builder.mul(inputs, outputs))])
    done = outputs.type(0)
    for vectors, lanes in _TILES:
        end = builder.sub(outputs, builder.urem(outputs, outputs.type(vectors * lanes)))
        with cgutils.for_range_slice(builder, done, end, outputs.type(vectors * lanes), inc=True) as (first, _):
            _add_tile(builder, sums, inputs_row, weights, (inputs, outputs), first, vectors, lanes)
        done = end
    return context.get_dummy_value()


def _row(builder: Any, array: Any, row: Any) -> Any:
    """Return a pointer to the start of a row of a 2-D array."""
    _, width = cgutils.unpack_tuple(builder, array.shape, 2)
    return builder.gep(array.data, [builder.mul(row, width)])


def _add_tile(
    builder: Any, sums: Any, inputs_row: Any, weights: Any, shape: tuple[Any, Any], first: Any, vectors: int, lanes: int
) -> None:
    """Add the products of all inputs to one tile of sums, from output `first` on."""
    inputs, outputs = shape
    kind = ir.VectorType(_FLOAT, lanes)
    places = [builder.add(first, outputs.type(lanes * number)) for number in range(vectors)]
    totals = [cgutils.alloca_once(builder, kind) for _ in places]  # registers, once LLVM has seen them
    for total, place in zip(totals, places, strict=True):
        builder.store(builder.load(vector_at(builder, sums, place, kind), align=4), total)
    with cgutils.for_range(builder, inputs) as each:
        value = spread(builder, builder.load(builder.gep(inputs_row, [each.index])), kind)
        row = builder.gep(weights, [builder.mul(each.index, outputs)])
        for total, place in zip(totals, places, strict=True):
            weight = builder.load(vector_at(builder, row, place, kind), align=4)
            product = builder.fmul(weight, value, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for total, place in zip(totals, places, strict=True):
        builder.store(builder.load(total), vector_at(builder, sums, place, kind), align=4)


def vector_at(builder: Any, start: Any, place: Any, kind: Any) -> Any:
    """Return a pointer to the vector that begins at element `place`."""
    return builder.bitcast(builder.gep(start, [place]), kind.as_pointer())


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector with `value` in all lanes."""
    undefined, mask_type = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(mask_type, [0] * kind.count))
