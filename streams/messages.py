"""Kafka's messages -> calls: JSON by default, Avro or Arrow batches where a header says so (F-09).

A JSON message is one record, whatever it holds: one that cannot be read becomes one reject with its bytes. An
Avro or Arrow message holds any number of records, which share its offset; one that cannot be read at all is one
reject.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import fastavro
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.ipc

from rating.reasons import Reason
from rating.records import RECORD
from streams.decode import json_lines, load_format
from streams.fields import to_records
from streams.mapping import FormatError
from streams.parquet import arrow_records, check_schema
from streams.rows import RAW_MAX_BYTES, Rows, shown, unreadable
from streams.spans import Ints, put

CONTENT_TYPE = "content-type"
JSON, AVRO, ARROW = "application/json", "avro/binary", "application/vnd.apache.arrow.stream"
FAULT, FAULT_DETAIL = "fentan-fault", "fentan-fault-detail"
"""Headers of a record that `fentan collect` could not read: the worker says so in its words."""

_BLANK = b"null"
_WHITE = b" \t\r\n"
Headers = Any
"""A message's, as librdkafka gives them: pairs of name and bytes, or None."""


class MessageDecoder:
    """Reads messages block by block, and remembers the shapes of JSON that it met."""

    def __init__(self) -> None:
        self._format = load_format("jsonl")
        self._arrow_format = load_format("parquet")
        self._json = json_lines(self._format)

    def records(
        self, values: Sequence[bytes | None], headers: Sequence[Headers], offsets: Ints
    ) -> tuple[pa.Table, Ints]:
        """A table of RECORD in the messages' order, and how many of its rows each message became.

        `source_pos` is the offset of a row's message.
        """
        counts = np.ones(len(values), np.int64)
        if not any(headers):
            return self._json_records(values, offsets), counts
        special = [place for place, some in enumerate(headers) if some]
        tables: list[pa.Table] = []
        begin = 0
        for place in [*special, len(values)]:
            if place > begin:
                tables.append(self._json_records(values[begin:place], offsets[begin:place]))
            if place < len(values):
                tables.append(self._special(values[place] or b"", headers[place], int(offsets[place])))
                counts[place] = tables[-1].num_rows
            begin = place + 1
        return pa.concat_tables(tables), counts

    def _json_records(self, values: Sequence[bytes | None], offsets: Ints) -> pa.Table:
        given = cast("Sequence[bytes]", values) if all(values) else [value or b"" for value in values]
        lines, changed = given, False
        block = _block(lines)
        if not all(lines) or _line_ends(block) != len(lines) or block.startswith(b"\xef\xbb\xbf"):
            lines, changed = [_one_line(value) for value in given], True
            block = _block(lines)
        rows, _ = self._json.decode(block, 0, final=True)
        if len(rows) != len(lines):  # some are blank
            lines, changed = [_one_line(value) for value in given], True
            rows, _ = self._json.decode(_block(lines), 0, final=True)
        if len(rows) != len(lines):
            raise AssertionError(f"{len(lines)} messages became {len(rows)} rows")
        if changed:
            _restore(rows, given, lines)
        rows.at = offsets
        return to_records(rows, self._format)

    def _special(self, value: bytes, headers: Headers, offset: int) -> pa.Table:
        """The records of one message that has headers."""
        told = {name.lower(): _text(given) for name, given in headers or ()}
        if told.get(FAULT) in set(Reason):
            return _faulty(
                value, Reason(told[FAULT]), told.get(FAULT_DETAIL, "It could not be read."), offset
            )
        kind = told.get(CONTENT_TYPE, JSON).partition(";")[0].strip().lower()
        try:
            match kind:
                case "application/json" | "":
                    return self._json_records([value], np.array([offset]))
                case "avro/binary" | "application/avro":
                    records = list(fastavro.reader(io.BytesIO(value)))
                    lines = [orjson.dumps(record, default=str) for record in records]
                    found = (
                        self._json_records(lines, np.arange(len(lines))) if lines else RECORD.empty_table()
                    )
                case "application/vnd.apache.arrow.stream":
                    found = self._arrow(value)
                case _:
                    sentence = f"The content-type {shown(kind)} is not known; send {JSON}, {AVRO} or {ARROW}."
                    return _faulty(value, Reason.UNREADABLE, sentence, offset)
        except Exception as error:  # noqa: BLE001  whatever the bytes do to a decoder, they are one reject
            what = " ".join(str(error).split()) or type(error).__name__
            return _faulty(value, Reason.UNREADABLE, f"This is no {kind}: {shown(what)}.", offset)
        places = pa.repeat(pa.scalar(offset, pa.int64()), found.num_rows)
        return found.set_column(RECORD.get_field_index("source_pos"), RECORD.field("source_pos"), places)

    def _arrow(self, value: bytes) -> pa.Table:
        with pa.ipc.open_stream(value) as stream:
            try:
                check_schema(stream.schema)
            except FormatError as fault:
                raise FormatError(str(fault).replace("Parquet file", "batch")) from None
            batches = [arrow_records(batch, 0, self._arrow_format) for batch in stream if batch.num_rows]
        return pa.concat_tables([RECORD.empty_table(), *batches])


def _text(given: Any) -> str:
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given or "")


def _block(lines: Sequence[bytes]) -> bytes:
    return b"\n".join([*lines, b""])


def _line_ends(block: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord("\n")))


def _one_line(value: bytes) -> bytes:
    """The message as a line: JSON may be spread over several, where a line end is but white space."""
    line = value.removeprefix(b"\xef\xbb\xbf").replace(b"\n", b" ")
    return line if line.strip(_WHITE) else _BLANK


def _restore(rows: Rows, given: Sequence[bytes], lines: Sequence[bytes]) -> None:
    """The messages' own bytes, where they were read as another line."""
    other = [place for place, (was, line) in enumerate(zip(given, lines, strict=True)) if was != line]
    for place in other:
        if not given[place].strip(_WHITE):
            rows.faults[place] = unreadable("The message is empty.")
    rows.raw = put(rows.raw, np.array(other, np.int64), [given[place][:RAW_MAX_BYTES] for place in other])


def _faulty(value: bytes, reason: Reason, sentence: str, offset: int) -> pa.Table:
    """One reject, with the begin of its bytes."""
    row = {
        "fault": str(reason),
        "fault_detail": sentence,
        "raw": value[:RAW_MAX_BYTES],
        "source_pos": offset,
    }
    return pa.Table.from_pylist([row], schema=RECORD)
