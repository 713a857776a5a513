"""The matrix-vector products that the kernels spend their time in, written in LLVM IR with register tiling.

A tile of sums stays in registers while all inputs are added to it. As a loop in numba the product is compiled behind
checks for overlapping arrays, a hundred instructions a call, and loads and stores every sum again for every few inputs:
a sample of WaveNet S takes a third longer.

A tile is as wide as the registers allow, so that most matrices are read from their first to their last byte, as main
memory is read fastest. All products are one function of each kind in the compiled module, called and not inlined: its
code is short, and live audio finds that in main memory, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FLOAT, _HALF = ir.FloatType(), ir.HalfType()
_LANES = 16
"""Floats in a vector; processors with shorter registers take several for it."""
_WIDE, _NARROW = (20, 16, 12, 10, 8, 6, 4, 2, 1), (4, 1)
"""Vectors in a tile, by how many registers there are: most matrices are one tile wide."""
_ROWS, _WIDE_ROWS, _NARROW_ROWS = 4, (4, 2, 1), (1,)
"""Rows whose sums are in registers together, as each weight that is loaded counts for all of them; their tiles."""
_AHEAD = 8192
"""Bytes by which weights are asked for before they are needed: about as many as memory brings while it answers."""


@intrinsic  # type: ignore[untyped-decorator]
def add_product(typing: Any, y: Any, v: Any, x: Any, u: Any, w: Any, layer: Any) -> Any:
    """Add `x[u] @ w[layer]` to `y[v]`: `y` `(·, n)`, `x` `(·, m or more)`, `w` `(L, m, n)`; float32, C order.

    `y` must not overlap the others. Each sum adds its inputs in order, so it does not depend on `n` or on alignment.
    `w` may be uint16, the bits of floats of 16 bits (`arrays.packed_weights`): they are read in half the time.
    """
    return _signature(y, x, w), _generate_in_cache


@intrinsic  # type: ignore[untyped-decorator]
def add_product_from_memory(typing: Any, y: Any, v: Any, x: Any, u: Any, w: Any, layer: Any) -> Any:
    """Do the same as `add_product`, to the bit, for weights that main memory holds, not a cache: it is asked ahead.

    Where they are in a cache, it takes a fifth longer; where not, half as long. What lies behind the matrix is asked
    for, too, so weights that are used one after the other should lie so.
    """
    return _signature(y, x, w), _generate_from_memory


@intrinsic  # type: ignore[untyped-decorator]
def add_products(typing: Any, y: Any, v: Any, x: Any, u: Any, w: Any, layer: Any, rows: Any) -> Any:
    """Do the same as `add_product`, to the bit, for `rows` rows from `v` and `u` on: few weights are loaded twice."""
    places = _signature(y, x, w).args
    return types.void(*places, types.intp), _generate_rows


@intrinsic  # type: ignore[untyped-decorator]
def add_products_from_memory(
    typing: Any, y: Any, v: Any, x: Any, u: Any, w: Any, at: Any, inputs: Any, outputs: Any, widths: Any, rows: Any
) -> Any:
    """Add `x[u : u + m] @ w[at : at + m * n]` to `y[v : v + n]`, and so on for all `rows`; memory is asked ahead.

    The arrays are flat, float32; `inputs` is m, `outputs` n. `widths` are by how much `y` and `x` move on for the next
    row. The sums are those of `add_product`, to the bit.
    """
    place = types.intp
    return types.void(y, place, x, place, w, place, place, place, types.UniTuple(place, 2), place), _generate_flat


def _signature(y: Any, x: Any, w: Any) -> Any:
    return types.void(y, types.intp, x, types.intp, w, types.intp)


def _generate_in_cache(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointers, sizes, _ = _unpacked(context, builder, signature, args)
    builder.call(_product(context, builder.module, sizes[0].type, pointers[2].type.pointee, 0), [*pointers, *sizes])
    return context.get_dummy_value()


def _generate_from_memory(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointers, sizes, _ = _unpacked(context, builder, signature, args)
    kind = pointers[2].type.pointee
    builder.call(_product(context, builder.module, sizes[0].type, kind, _AHEAD), [*pointers, *sizes])
    return context.get_dummy_value()


def _generate_rows(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointers, sizes, widths = _unpacked(context, builder, signature, args)
    builder.call(_products(context, builder.module, sizes[0].type, 0), [*pointers, *sizes, *widths, args[6]])
    return context.get_dummy_value()


def _generate_flat(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointers = [
        builder.gep(context.make_array(signature.args[place])(context, builder, args[place]).data, [args[place + 1]])
        for place in (0, 2, 4)
    ]
    inputs, outputs, widths, rows = args[6:]
    sizes = [inputs, outputs, *cgutils.unpack_tuple(builder, widths, 2)]
    builder.call(_products(context, builder.module, inputs.type, _AHEAD), [*pointers, *sizes, rows])
    return context.get_dummy_value()


def _unpacked(context: Any, builder: Any, signature: Any, args: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return pointers to the rows of `y` and `x` and to the layer, its inputs and outputs, and the rows' widths."""
    kinds = signature.args
    y, x, w = (context.make_array(kinds[place])(context, builder, args[place]) for place in (0, 2, 4))
    _, inputs, outputs = cgutils.unpack_tuple(builder, w.shape, 3)
    widths = [cgutils.unpack_tuple(builder, array.shape, 2)[1] for array in (y, x)]
    rows = [
        builder.gep(array.data, [builder.mul(row, width)])
        for array, row, width in zip((y, x), (args[1], args[3]), widths, strict=True)
    ]
    layer = builder.gep(w.data, [builder.mul(args[5], builder.mul(inputs, outputs))])
    if kinds[4].dtype == types.uint16:
        layer = builder.bitcast(layer, _HALF.as_pointer())
    return [*rows, layer], [inputs, outputs], widths


def _product(context: Any, module: Any, index: Any, kind: Any, ahead: int) -> Any:
    """Return the function of one row: sums, inputs, weights of a `kind`, and the numbers of inputs and outputs."""
    function, made = _function(module, f"gramophone_product_{kind}_{ahead}", index, kind, 2)
    if made:
        y, x, w, inputs, outputs = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        zero = index(0)

        def tile(first: Any, vectors: int, lanes: int) -> None:
            _add_tile(builder, (y, x, w), (inputs, outputs), (zero, zero), first, (1, vectors, lanes), ahead)

        _for_tiles(builder, outputs, _WIDE if _has_many_registers(context) else _NARROW, tile)
        builder.ret_void()
    return function


def _products(context: Any, module: Any, index: Any, ahead: int) -> Any:
    """Return the function of several rows: as that of one, and the widths of sums and inputs, and how many rows."""
    function, made = _function(module, f"gramophone_products_{ahead}", index, _FLOAT, 5)
    if made:
        y, x, w, inputs, outputs, y_width, x_width, rows = function.args
        builder = ir.IRBuilder(function.append_basic_block("entry"))

        def tile(first: Any, vectors: int, lanes: int) -> None:
            done = index(0)
            for together in (_ROWS, 1):
                end = builder.sub(rows, builder.urem(rows, index(together)))
                with cgutils.for_range_slice(builder, done, end, index(together), inc=True) as (row, _):
                    sums, source = (
                        builder.gep(start, [builder.mul(row, width)]) for start, width in ((y, y_width), (x, x_width))
                    )
                    shape = (together, vectors, lanes)
                    _add_tile(builder, (sums, source, w), (inputs, outputs), (y_width, x_width), first, shape, ahead)
                done = end

        _for_tiles(builder, outputs, _WIDE_ROWS if _has_many_registers(context) else _NARROW_ROWS, tile)
        builder.ret_void()
    return function


def _function(module: Any, name: str, index: Any, weight: Any, numbers: int) -> tuple[Any, bool]:
    """Return a function of this name, and whether it has no code yet.

    It takes sums, inputs, weights of a type, and so many numbers.
    """
    floats = _FLOAT.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [floats, floats, weight.as_pointer()] + [index] * numbers)
    function = cgutils.get_or_insert_function(module, kind, name)
    if not function.is_declaration:
        return function, False
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    for array in function.args[:3]:
        array.add_attribute("noalias")
    return function, True


def _has_many_registers(context: Any) -> bool:
    """Return whether the processor that is compiled for, not always this one, has 32 registers of 16 floats."""
    *_, features = context.codegen().magic_tuple()
    return "+avx512f" in features


def _for_tiles(builder: Any, outputs: Any, sizes: tuple[int, ...], tile: Callable[[Any, int, int], None]) -> None:
    """Call `tile(first output, vectors, lanes)` to generate the code of tiles that cover all outputs."""
    index = outputs.type
    done = index(0)
    for vectors, lanes in (*((size, _LANES) for size in sizes), (1, 1)):
        end = builder.sub(outputs, builder.urem(builder.sub(outputs, done), index(vectors * lanes)))
        with cgutils.for_range_slice(builder, done, end, index(vectors * lanes), inc=True) as (first, _):
            tile(first, vectors, lanes)
        done = end


def _add_tile(
    builder: Any,
    pointers: tuple[Any, Any, Any],
    sizes: tuple[Any, Any],
    widths: tuple[Any, Any],
    first: Any,
    shape: tuple[int, int, int],
    ahead: int,
) -> None:
    """Add the products of all inputs to one tile of sums, `shape` rows, vectors and lanes, from output `first` on."""
    (sums, source, weights), (inputs, outputs), (rows, vectors, lanes) = pointers, sizes, shape
    index, kind = outputs.type, ir.VectorType(_FLOAT, lanes)
    places = [builder.add(first, index(lanes * number)) for number in range(vectors)]
    starts = [
        [builder.gep(start, [builder.mul(index(row), width)]) for row in range(rows)]
        for start, width in zip((sums, source), widths, strict=True)
    ]
    targets = [vector_at(builder, row, place, kind) for row in starts[0] for place in places]
    totals = [cgutils.alloca_once(builder, kind) for _ in targets]  # registers, once LLVM has seen them
    for total, target in zip(totals, targets, strict=True):
        builder.store(builder.load(target, align=4), total)
    with cgutils.for_range(builder, inputs) as each:
        row = builder.gep(weights, [builder.mul(each.index, outputs)])
        stored = ir.VectorType(weights.type.pointee, lanes)
        places_in_row = [vector_at(builder, row, place, stored) for place in places]
        if ahead and lanes > 1:
            for place in places_in_row:
                _ask(builder, place, ahead)
        loaded = [builder.load(place, align=2) for place in places_in_row]
        if weights.type.pointee == _HALF:
            loaded = [builder.fpext(weight, kind) for weight in loaded]
        for number in range(rows):
            value = spread(builder, builder.load(builder.gep(starts[1][number], [each.index])), kind)
            for weight, total in zip(loaded, totals[number * vectors :], strict=False):
                product = builder.fmul(weight, value, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
    for total, target in zip(totals, targets, strict=True):
        builder.store(builder.load(total), target, align=4)


def _ask(builder: Any, place: Any, ahead: int) -> None:
    """Ask memory for what lies so many bytes behind a place; an address that is not ours does no harm."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    there = builder.gep(builder.bitcast(place, byte), [ir.IntType(64)(ahead)])
    builder.call(prefetch, [there, number(0), number(3), number(1)])  # to be read, kept in all caches, data


def vector_at(builder: Any, start: Any, place: Any, kind: Any) -> Any:
    """Return a pointer to the vector that begins at element `place`."""
    return builder.bitcast(builder.gep(start, [place]), kind.as_pointer())


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """Return a vector with `value` in all lanes."""
    undefined, mask_type = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(mask_type, [0] * kind.count))
