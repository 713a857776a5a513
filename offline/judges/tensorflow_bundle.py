"""Reads the tensors of a TensorFlow checkpoint without TensorFlow.

A checkpoint is two files: `.data` holds the tensors' bytes one after another, `.index` says which lie where. The index
is a LevelDB table (github.com/google/leveldb, doc/table_format.md) whose values are `BundleEntryProto` messages
(tensorflow/core/protobuf/tensor_bundle.proto) in protocol buffer wire format. Just as much of the three is understood
here as TensorFlow 1 writes: one shard, blocks uncompressed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_FLOAT = 1
_DTYPE, _SHAPE, _OFFSET = 1, 2, 4
_DIMENSION, _DIMENSION_SIZE = 2, 1


class BundleError(ValueError):
    """The bytes are not a checkpoint of the kind understood here."""


def read_bundle(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return every float tensor of a checkpoint by name.

    Raises:
        BundleError: the index is no LevelDB table, or is compressed.
    """
    footer = index[-_FOOTER_BYTES:]
    if int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise BundleError("checkpoint index: not a LevelDB table")
    _, _, offset, size = _varints(footer, 4)  # the handle of the meta index, then that of the index of blocks
    tensors = {}
    for _, handle in _entries(index, offset, size):
        for key, entry in _entries(index, *_varints(handle, 2)):
            fields = dict(_fields(entry))
            if key and fields.get(_DTYPE) == _FLOAT:
                tensors[key.decode()] = _tensor(fields, data)
    return tensors


def _tensor(fields: dict[int, int | bytes], data: bytes) -> NDArray[np.float32]:
    shape = [
        _number(dict(_fields(_message(value))).get(_DIMENSION_SIZE, 0))
        for number, value in _fields(_message(fields.get(_SHAPE, b"")))
        if number == _DIMENSION
    ]
    count = int(np.prod(shape))
    return np.frombuffer(data, "<f4", count, _number(fields.get(_OFFSET, 0))).reshape(shape)


def _entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of every entry of a block; a key states only what differs from the key before."""
    if table[offset + size]:
        raise BundleError(f"checkpoint index: block at {offset} is compressed")
    block = table[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of every field of a protocol buffer message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == 2:
            length, at = _varint(message, at)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise BundleError(f"checkpoint index: wire type {wire_type} in field {number}")
        yield number, message[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, seven bits a byte with the lowest first, and where the next thing starts."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _varints(data: bytes, count: int) -> list[int]:
    at, numbers = 0, []
    for _ in range(count):
        number, at = _varint(data, at)
        numbers.append(number)
    return numbers


def _message(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise BundleError(f"checkpoint index: number {value} where a message belongs")


def _number(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise BundleError(f"checkpoint index: message {value!r} where a number belongs")
