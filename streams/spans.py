"""Text columns cut out of a buffer of bytes without a loop: spans in, Arrow arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


def cut(buffer: Any, starts: Ints, stops: Ints, *, null: Flags | None = None) -> Any:
    """The bytes of each span [starts[i], stops[i]) of a buffer below 2 GiB, as one binary array.

    Spans may stand in any order and overlap. Null where `null` says so; such a span must be empty.
    """
    count = len(starts)
    sizes = (stops - starts).astype(np.int32)
    data = gather(buffer, starts.astype(np.int32), sizes)
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), count, [valid, pa.py_buffer(offsets), data])


def gather(buffer: Any, starts: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]) -> Any:
    """The buffer's pieces, laid one behind the other."""
    whole = pa.Array.from_buffers(pa.uint8(), len(buffer), [None, buffer])
    shape = [None, pa.py_buffer(starts), pa.py_buffer(sizes)]
    pieces = pa.Array.from_buffers(pa.list_view(pa.uint8()), len(starts), shape, children=[whole])
    return pieces.cast(pa.list_(pa.uint8())).values.buffers()[1]  # from views to a list: Arrow copies each once


def as_text(binary: Any) -> Any:
    """A binary array whose bytes are known to be UTF-8, as text, without a copy."""
    return binary.view(pa.string())


def is_utf8(buffer: Any) -> bool:
    """True if the whole buffer is UTF-8."""
    offsets = pa.py_buffer(np.array([0, len(buffer)], np.int32))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(buffer)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def put(column: Any, rows: Ints, values: list[Any]) -> Any:
    """The column with `values` in place of what stood at `rows` (ascending)."""
    if not len(rows):
        return column
    mask = np.zeros(len(column), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array(values, column.type))


def spread(parts: list[tuple[Ints, Any]], count: int, kind: Any) -> Any:
    """One array of `count` rows from parts that each know their rows; rows of no part are null."""
    if not parts:
        return pa.nulls(count, kind)
    order = np.full(count, -1, np.int64)
    at = 0
    for rows, values in parts:
        order[rows] = np.arange(at, at + len(values))
        at += len(values)
    return pa.concat_arrays([values for _, values in parts]).take(pa.array(order, mask=order < 0))
