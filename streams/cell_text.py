"""Bytes of CSV cells -> text: the file's encoding, spaces around, and what is no text at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.mapping import Mapping
from streams.rows import Fault, shown, unreadable
from streams.spans import as_text, is_utf8, places, put


class CellText:
    """Turns columns of one block into text; cells that rating needs and that are no text are faults."""

    def __init__(self, mapping: Mapping, block: bytes, faults: dict[int, Fault]) -> None:
        self._encoding = mapping.layout.encoding
        self._soft = mapping.soft
        self._faults = faults
        self._plain = block.isascii() or (self._encoding == "utf-8" and is_utf8(block))
        self._nul = b"\0" in block

    def text(self, name: str | None, column: Any) -> Any:
        """The column as trimmed text, null where it is empty. `name`: its field, None if nobody needs it."""
        hard = name is not None and name not in self._soft
        text = as_text(column) if self._plain else self._decoded(name, column, hard=hard)
        if self._nul:
            text = self._without_nul(name, text, hard=hard)
        if _is_spaced(text):
            text = pc.utf8_trim(text, " \t")
            text = pc.if_else(pc.equal(text, ""), None, text)
        return text

    def _decoded(self, name: str | None, column: Any, *, hard: bool) -> Any:
        text = as_text(column)
        if self._encoding == "utf-8":
            try:
                text.validate(full=True)
            except pa.ArrowInvalid:
                pass
            else:
                return text
        data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
        if not (data >= 0x80).any():
            return text
        cells = column.to_pylist()
        rows = [row for row, cell in enumerate(cells) if cell is not None and not cell.isascii()]
        values: list[bytes | None] = []
        for row in rows:
            value: str | None = cells[row].decode(self._encoding, "replace")
            if hard and value is not None and "\ufffd" in value:
                self._fault(row, name, value)
                value = None
            values.append(None if value is None else value.encode())
        return as_text(put(column, np.array(rows, np.int64), values))

    def _without_nul(self, name: str | None, text: Any, *, hard: bool) -> Any:
        rows = places(pc.match_substring(text, "\0"))
        values: list[str | None] = []
        for row, value in zip(rows.tolist(), text.take(pa.array(rows)).to_pylist(), strict=True):
            if hard:
                self._fault(row, name, value)
            values.append(None if hard else value.replace("\0", "\ufffd"))
        return put(text, rows, values)

    def _fault(self, row: int, name: str | None, value: str) -> None:
        sentence = f"{name} is {shown(value)}, with a NUL or bytes that are not {self._encoding.upper()}."
        self._faults.setdefault(row, unreadable(sentence))


def _is_spaced(text: Any) -> bool:
    """Whether a cell begins or ends with a space or a tab. Empty cells are null."""
    _, offsets_buffer, data = text.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32, len(text) + 1)
    if not len(text) or offsets[-1] == 0:
        return False
    characters = np.frombuffer(data, np.uint8, offsets[-1])
    # where a cell is null, these look at a neighbour's edge
    edges = characters[np.minimum(offsets[:-1], offsets[-1] - 1)], characters[np.maximum(offsets[1:] - 1, 0)]
    return any(bool(((edge == ord(" ")) | (edge == ord("\t"))).any()) for edge in edges)
