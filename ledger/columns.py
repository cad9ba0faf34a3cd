"""Rows and tables held against the ledger's schema (F-22): nothing is converted, only refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Schema

from ledger.faults import LedgerFault

if TYPE_CHECKING:
    from datetime import datetime

    from deltalake import Field


def numbered(rows: pa.Table, schema: pa.Schema, next_seq: int) -> pa.Table:
    """The rows in the schema's column order, each column in one piece, with their seq from `next_seq` on.

    Text may come, and stays, as dictionaries. Raises ValueError for a missing or unknown column, another type, a
    null where none may be, or seq that run from elsewhere.
    """
    seqs = np.arange(next_seq, next_seq + rows.num_rows)
    if "seq" not in rows.column_names:
        rows = rows.add_column(0, schema.field("seq"), pa.array(seqs))
    elif not np.array_equal(rows.column("seq").to_numpy(), seqs):
        raise ValueError(f"the rows' seq must run from {next_seq}")
    odd = set(rows.column_names) ^ set(schema.names)
    if odd:
        raise ValueError(f"these columns are not in both the rows and the table: {', '.join(sorted(odd))}")
    columns, fields = [], []
    for field in schema:
        column = rows.column(field.name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if kind != field.type:
            raise ValueError(f"the column {field.name} must be {field.type}, not {column.type}")
        if not field.nullable and column.null_count:
            raise ValueError(f"the column {field.name} must not be null")
        columns.append(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
        fields.append(pa.field(field.name, column.type, field.nullable))
    return pa.table(columns, schema=pa.schema(fields))


def missing_columns(name: str, table: DeltaTable, schema: pa.Schema) -> list[Field]:
    """The columns that the schema has and the table has not yet: they read as null (F-22).

    Raises LedgerFault for a column of another type, or one that the schema does not know.
    """
    there = {field.name: field.type for field in table.schema().fields}
    ours = {field.name: field for field in Schema.from_arrow(schema).fields}
    for column, kind in there.items():
        if column not in ours:
            raise LedgerFault(
                f"The table {name} has a column {column} that this version of Fentan does not know: "
                "use a newer one."
            )
        if kind != ours[column].type:
            raise LedgerFault(
                f"The column {column} of the table {name} is {kind}, not {ours[column].type}: this "
                "ledger was made by another version of Fentan, use that one."
            )
    return [field for column, field in ours.items() if column not in there]


def latest_arrival(rows: pa.Table) -> str | None:
    """The greatest `received_at`, RFC 3339 in UTC with microseconds, so that texts compare like instants."""
    if "received_at" not in rows.column_names or not rows.num_rows:
        return None
    latest: datetime | None = pc.max(rows.column("received_at")).as_py()
    return None if latest is None else latest.isoformat(timespec="microseconds")
