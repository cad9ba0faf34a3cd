"""Columns of text -> one JSON object a row, for the fields that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.spans import places, put


def objects(names: Sequence[str], columns: Sequence[Any], count: int, bare: Sequence[str] = ()) -> Any:
    """A string array: `{"name":"text",…}` without the null ones; null where all are null.

    bare: names whose columns are JSON text already
    """
    parts: list[Any] = []
    for name, column in zip(names, columns, strict=True):
        if column.null_count == count:
            continue
        mark = "" if name in bare else '"'
        value = [f",{key_text(name)}{mark}", column if name in bare else escaped(column), mark]
        # one join of many is cheaper than many, but a null would make all of it null
        parts += [pc.fill_null(pc.binary_join_element_wise(*value, ""), "")] if column.null_count else value
    if not parts:
        return pa.nulls(count, pa.string())
    inside = pc.binary_join_element_wise(*parts, "")
    whole = pc.binary_join_element_wise(pc.utf8_replace_slice(inside, 0, 1, "{"), "}", "")
    return pc.if_else(pc.equal(inside, ""), None, whole)


def key_text(name: str) -> str:
    """A field's name as JSON writes it, with its colon."""
    return json.dumps(name, ensure_ascii=False) + ":"


def quoted(column: Any) -> Any:
    """Text as JSON writes it; null stays null."""
    return pc.binary_join_element_wise('"', escaped(column), '"', "")


def escaped(column: Any) -> Any:
    """Text as JSON writes it between quotes; null stays null."""
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    if (data == ord("\\")).any():
        column = pc.replace_substring(column, "\\", "\\\\")
    if (data == ord('"')).any():
        column = pc.replace_substring(column, '"', '\\"')
    if (data < ord(" ")).any():
        rows = places(pc.match_substring_regex(column, "[\\x00-\\x1f]"))
        values = column.take(pa.array(rows)).to_pylist()
        column = put(
            column, rows, ["".join(c if c >= " " else f"\\u{ord(c):04x}" for c in text) for text in values]
        )
    return column
