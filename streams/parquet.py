"""Parquet files of calls: the contract's columns, of any type that holds them exactly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rating.calendar import SHANGHAI_OFFSET_US
from rating.records import INSTANT
from streams import json_text
from streams.chunks import Chunk
from streams.digests import Digest
from streams.fields import Typed, to_records
from streams.mapping import COLUMNS, REQUIRED, TIMES, FormatError, Mapping
from streams.rows import Rows

_ROW_BYTES = 350
_BATCH_ROWS = 65_536
_STEP_BYTES = 4 << 20


def parquet_chunks(stream: BinaryIO, mapping: Mapping, start: int, chunk_bytes: int) -> Iterator[Chunk]:
    """Chunks by rows, from row `start` on. Raises FormatError if the file, or a column's type, cannot be read."""
    with tempfile.TemporaryFile() as copy:
        source, digest = _whole(stream, copy)
        try:
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)
        except (pa.ArrowInvalid, OSError) as error:
            raise FormatError(f"This is not a whole Parquet file: {error}; write it again.") from None
        check_schema(file.schema_arrow)
        yield from _chunks(file, mapping, start, max(1, chunk_bytes // _ROW_BYTES), digest)


def _whole(stream: BinaryIO, copy: BinaryIO) -> tuple[BinaryIO, str]:
    """The file as something that can seek, and the digest of its bytes."""
    digest = Digest()
    seekable = stream.seekable()
    while data := stream.read(_STEP_BYTES):
        digest.update(data)
        if not seekable:
            copy.write(data)
    source = stream if seekable else copy
    source.seek(0)
    return source, digest.hex()


def _chunks(file: Any, mapping: Mapping, start: int, chunk_rows: int, digest: str) -> Iterator[Chunk]:
    begin = 0
    tables: list[Any] = []
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        at, begin = begin, end
        if end <= start:
            continue
        for batch in file.iter_batches(batch_size=min(chunk_rows, _BATCH_ROWS), row_groups=[group]):
            first, at = at, at + batch.num_rows
            if at <= start:
                continue
            own = batch.slice(max(0, start - first))
            tables.append(arrow_records(own, max(first, start), mapping))
            held = sum(table.num_rows for table in tables)
            if held >= chunk_rows:
                yield Chunk(pa.concat_tables(tables), at - held, at, digest)
                tables = []
    if tables:
        held = sum(table.num_rows for table in tables)
        yield Chunk(pa.concat_tables(tables), begin - held, begin, digest)


def check_schema(schema: Any) -> None:
    """Raises FormatError if a column is missing or its type cannot hold what the contract says, exactly."""
    for name in REQUIRED:
        if name not in schema.names:
            raise FormatError(f"The Parquet file has no column {name}; add it.")
    for name in COLUMNS:
        if schema.names.count(name) > 1:
            raise FormatError(f"The Parquet file has the column {name} twice; leave one out.")
        if name in schema.names:
            kind = schema.field(name).type
            wanted = _wanted(name, kind.value_type if pa.types.is_dictionary(kind) else kind)
            if wanted:
                raise FormatError(f"The Parquet file's column {name} is {kind}; write it as {wanted}.")


def _wanted(name: str, kind: Any) -> str:
    """What the column should be; nothing if its type will do."""
    text, whole = _is_text(kind) or pa.types.is_null(kind), pa.types.is_integer(kind)
    if name in TIMES:
        return "" if text or pa.types.is_timestamp(kind) else "a timestamp"
    if name == "duration_s":
        return "" if text or whole or (pa.types.is_decimal(kind) and kind.scale == 0) else "int64"
    return "" if text or whole else "text"


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def arrow_records(batch: Any, first: int, mapping: Mapping) -> Any:
    """A record batch whose schema passed `check_schema` -> a table of RECORD; its positions count from `first`."""
    count = batch.num_rows
    text: dict[str, Any] = {}
    typed: Typed = {}
    for name in COLUMNS:
        column = batch.column(name) if name in batch.schema.names else pa.nulls(count, pa.string())
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_timestamp(column.type):
            typed[name] = _instants(column)
            text[name] = pc.strftime(typed[name], "%Y-%m-%dT%H:%M:%SZ")
        else:
            filled = column.cast(pa.string())
            text[name] = pc.if_else(pc.equal(filled, ""), None, filled)
    others = [name for name in batch.schema.names if name not in COLUMNS]
    values = [_json(batch.column(name)) for name in others]
    extra = json_text.objects(others, values, count, bare=others)
    known = [name for name in COLUMNS if name in batch.schema.names]
    every = [*(text[name] for name in known), *values]
    raw = json_text.objects([*known, *others], every, count, bare=["duration_s", *others])
    raw = pc.fill_null(raw, "{}").cast(pa.binary())
    return to_records(Rows(text, extra, raw, np.arange(first, first + count)), mapping, typed)


def _instants(column: Any) -> Any:
    """A timestamp of any unit and zone -> UTC microseconds, finer fractions cut off; local times are Shanghai's."""
    unit, zone = column.type.unit, column.type.tz
    micros = (
        pc.cast(column, pa.timestamp("us", zone), safe=False)
        if unit == "ns"
        else column.cast(pa.timestamp("us", zone))
    )
    micros = micros.cast(pa.int64())
    return (micros if zone else pc.subtract(micros, SHANGHAI_OFFSET_US)).cast(INSTANT)


def _json(column: Any) -> Any:
    """Values that nobody asked for, as JSON text."""
    if _is_text(column.type):
        return json_text.quoted(column.cast(pa.string()))
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return column.cast(pa.string())
    found = [
        None if value is None else json.dumps(value, default=str, ensure_ascii=False)
        for value in column.to_pylist()
    ]
    return pa.array(found, pa.string())
