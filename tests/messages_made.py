"""Messages that hold many call records: Avro files and Arrow streams."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pyarrow as pa


def avro(records: list[dict[str, Any]], example: dict[str, Any] | None = None) -> bytes:
    """An Avro file with its schema, by the fields of the first record or of `example`."""
    example = example or records[0]
    kinds = {
        name: ["null", "long" if isinstance(value, int) else "string"] for name, value in example.items()
    }
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "call", "fields": fields}, records, codec="deflate")
    return out.getvalue()


def arrow(table: pa.Table) -> bytes:
    """An Arrow IPC stream."""
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()
