"""A digest of rows that depends on nothing but their values (R-INV-6's evidence).

Two tables with the same rows have the same digest whatever their chunks, dictionaries, null buffers, file
layout or library version, so a digest taken at the commit can be recomputed from files that maintenance has
merged, sorted and compressed again. Values are packed first and hashed then, for SHA-256 costs three
nanoseconds a byte without CPU support: whole numbers as differences from their minimum in as few bytes as
they need, a column of one value as that value, a column without any value as nothing at all. The last also
means that a column added to the schema later leaves old digests as they were.

Form 1, fed to SHA-256 in this order: `fentan rows 1`, the first seq, the number of rows; then for each column
of the schema with at least one value, its name, type and packed values. `seq` is not among them: it is dense
from the first.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Put = Callable[[Any], None]

_SECOND_US = 1_000_000


def digest(rows: pa.Table, schema: pa.Schema, seq_from: int) -> str:
    """SHA-256 in hex of `rows`, whose seq run densely from `seq_from`; columns in the order of `schema`.

    Columns that `rows` lacks count as columns without a value. Raises ValueError if the seq are not dense.
    """
    sha = hashlib.sha256(b"fentan rows 1;%d;%d;" % (seq_from, rows.num_rows))
    if rows.num_rows and "seq" in rows.column_names:
        seqs = _whole(rows.column("seq")).to_numpy(zero_copy_only=False)
        if not np.array_equal(seqs, np.arange(seq_from, seq_from + rows.num_rows)):
            raise ValueError(f"the rows' seq do not run densely from {seq_from}")
    for field in schema:
        if field.name == "seq" or field.name not in rows.column_names:
            continue
        values = _whole(rows.column(field.name))
        if values.null_count == len(values):
            continue
        if values.type != field.type:
            values = values.cast(field.type)
        sha.update(f"{field.name}:{field.type}:".encode())
        _pack(values, sha.update)
    return sha.hexdigest()


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _pack(values: pa.Array, put: Put) -> None:
    """A mark for each null, then the values that are there."""
    if values.null_count:
        put(b"n%d;" % values.null_count)
        put(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)))
        values = values.drop_null()
    kind = values.type
    if not len(values):
        return
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        _pack_text(values, put)
    elif pa.types.is_list(kind):
        # the lists' lengths, then all their elements as one array: flatten() heeds offsets and slices
        _pack_whole_numbers(values.value_lengths().to_numpy(), put)
        elements = values.flatten()
        put(b"e%d;" % len(elements))
        if elements.null_count < len(elements):
            _pack(elements, put)
    elif pa.types.is_timestamp(kind):
        instants = _words(values, 1)[:, 0]
        seconds = instants // _SECOND_US
        if np.array_equal(seconds * _SECOND_US, instants):
            put(b"s")
            _pack_whole_numbers(seconds, put)
        else:
            _pack_whole_numbers(instants, put)
    elif pa.types.is_decimal128(kind):
        words = _words(values, 2)
        low, high = words[:, 0], words[:, 1]
        _pack_whole_numbers(low, put)
        if not np.array_equal(low >> 63, high):  # beyond 64 bits: never money, but never mistaken either
            _pack_whole_numbers(high, put)
    elif pa.types.is_int64(kind):
        _pack_whole_numbers(_words(values, 1)[:, 0], put)
    elif pa.types.is_boolean(kind):
        put(np.packbits(values.to_numpy(zero_copy_only=False)))
    else:
        raise TypeError(f"no digest for columns of type {kind}")


def _words(values: pa.Array, per_value: int) -> npt.NDArray[np.int64]:
    words = np.frombuffer(values.buffers()[1], dtype=np.int64).reshape(-1, per_value)
    return words[values.offset : values.offset + len(values)]


def _pack_text(values: pa.Array, put: Put) -> None:
    if pc.all(pc.equal(values, values[0])).as_py():
        one = values[0].as_py()
        one = one.encode() if isinstance(one, str) else one
        put(b"=%d;%d;" % (len(values), len(one)))
        put(one)
        return
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int32)[
        values.offset : values.offset + len(values) + 1
    ]
    _pack_whole_numbers(np.diff(offsets).astype(np.int64), put)
    data = values.buffers()[2]
    put(memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b"")


def _pack_whole_numbers(numbers: npt.NDArray[np.int64], put: Put) -> None:
    least, most = int(numbers.min()), int(numbers.max())
    width = next(w for w in (0, 1, 2, 4, 8) if most - least < 1 << 8 * w)
    put(b"i%d;%d;%d;" % (len(numbers), least, width))
    if width == 8:  # the difference itself may not fit into an int64
        put(np.ascontiguousarray(numbers, dtype="<i8"))
    elif width:
        put((numbers - least).astype(f"<u{width}"))
