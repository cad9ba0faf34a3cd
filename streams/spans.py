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

SLICE_BYTES = 256 << 10
"""Scans go in slices that stay in the processor's cache, into memory that is used again."""


def cut(buffer: Any, starts: Ints, stops: Ints, *, null: Flags | None = None) -> Any:
    """The bytes of each span [starts[i], stops[i]) as one binary array; null where `null` says so.

    Spans stand in file order and do not overlap: starts[i] <= stops[i] <= starts[i + 1], all below 2 GiB. A
    null span must be empty.
    """
    count = len(starts)
    sizes = stops - starts
    width = int(sizes.max()) if count else 0
    filled: Flags = sizes == width
    offsets = np.zeros(count + 1, np.int32)
    if filled.all():
        offsets[1:] = np.arange(width, width * (count + 1), width) if width else 0
        data = pa.py_buffer(windows(buffer, width)[starts]) if width else buffer
    elif ((sizes == 0) | filled).all():
        np.cumsum(sizes, out=offsets[1:])
        data = pa.py_buffer(windows(buffer, width)[starts[filled]])
    else:
        between = np.empty(2 * count, np.int32)
        between[0::2] = starts
        between[1::2] = stops
        # every second element of this view is a span, the ones between are what lies between them
        both = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, pa.py_buffer(between), buffer])
        _, taken, data = both.take(pa.array(np.arange(0, 2 * count, 2, dtype=np.int32))).buffers()
        offsets = np.frombuffer(taken, np.int32, count + 1)
    valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), count, [valid, pa.py_buffer(offsets), data])


def places_of(data: Bytes, marks: bytes) -> Ints:
    """Where any of the bytes of `marks` stands."""
    size = len(data)
    mark, other = (np.empty(min(size, SLICE_BYTES), np.bool_) for _ in range(2))
    found: list[Ints] = [np.zeros(0, np.int64)]
    for low in range(0, size, SLICE_BYTES):
        part = data[low : low + SLICE_BYTES]
        m, o = mark[: len(part)], other[: len(part)]
        np.equal(part, marks[0], out=m)
        for byte in marks[1:]:
            np.logical_or(m, np.equal(part, byte, out=o), out=m)
        found.append(np.flatnonzero(m) + low)
    return np.concatenate(found)


def windows(buffer: Any, width: int) -> npt.NDArray[np.void]:
    """A view of the buffer as one item of `width` bytes for each place where one can begin."""
    places = len(buffer) - width + 1
    return np.ndarray((max(0, places),), f"V{width}", buffer, 0, (1,))


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


def is_digits(text: Any) -> bool:
    """True if every value is a number of 1 to 18 digits, or null."""
    _, offsets_buffer, data = text.buffers()
    if not len(text) or data is None or text.offset:
        return False
    offsets = np.frombuffer(offsets_buffer, np.int32, len(text) + 1)
    sizes = np.diff(offsets)
    if sizes.max() > 18 or np.count_nonzero(sizes) != len(text) - text.null_count:
        return False
    digits = np.frombuffer(data, np.uint8, offsets[-1] - offsets[0], offsets[0]) - np.uint8(ord("0"))
    return bool((digits <= 9).all())


def places(flags: Any) -> Ints:
    """Where a boolean array is true; null is not."""
    return np.flatnonzero(pc.fill_null(flags, fill_value=False).to_numpy(zero_copy_only=False))


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
