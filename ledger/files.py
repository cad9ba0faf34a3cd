"""Parquet files of one table: written durably, read back by `seq`.

A file holds rows of one partition (the directory `month=2026-11`; null is `__HIVE_DEFAULT_PARTITION__`), without
the partition column itself. The table's log knows of each file its rows and its least and greatest `seq`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from ledger.faults import LedgerFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
ROW_GROUP = 122_880
_IN_MEMORY_ROWS = 400_000
_SAMPLE_ROWS = 2_000


@dataclass(frozen=True)
class LiveFile:
    """One data file of a snapshot; `path` is relative to the table's folder."""

    path: str
    size: int
    rows: int
    seq_min: int
    seq_max: int
    partition: tuple[tuple[str, str | None], ...]  # (("month", "2026-11"),) or ()

    @classmethod
    def from_add(cls, add: dict[str, Any]) -> LiveFile:
        """From an `add` action of the log."""
        stats = json.loads(add["stats"])
        return cls(
            add["path"],
            add["size"],
            stats["numRecords"],
            stats["minValues"]["seq"],
            stats["maxValues"]["seq"],
            tuple(add["partitionValues"].items()),
        )

    def add_action(self, folder: Path, *, data_change: bool) -> AddAction:
        """The action that makes the file part of the table. Statistics hold `seq` only, never money."""
        written_ms = (folder / self.path).stat().st_mtime_ns // 1_000_000
        stats = {
            "numRecords": self.rows,
            "minValues": {"seq": self.seq_min},
            "maxValues": {"seq": self.seq_max},
            "nullCount": {"seq": 0},
        }
        return AddAction(
            self.path, self.size, dict(self.partition), written_ms, data_change, json.dumps(stats)
        )


def fsync_path(path: Path) -> None:
    """A file's or a folder's content onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it; nothing happens if it is gone already."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_rows(folder: Path, rows: pa.Table, partition_by: list[str]) -> list[LiveFile]:
    """Writes `rows` (with seq, in the order given) as one durable file a partition value.

    On any error the files that were begun are removed again.
    """
    written: list[LiveFile] = []
    folders = set()
    paths: list[Path] = []
    try:
        for partition, part in _split(rows, partition_by):
            name = "/".join(f"{key}={NULL_PARTITION if value is None else value}" for key, value in partition)
            place = folder / name
            if not place.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                folders.add(place.parent)
            seqs = part.column("seq")
            ends = pc.min_max(seqs)
            path = place / f"{ends['min'].as_py():012d}-{uuid.uuid4().hex}.parquet"
            paths.append(path)
            write_parquet(path, [part], part.schema)
            folders.add(place)
            written.append(
                LiveFile(
                    str(path.relative_to(folder)),
                    path.stat().st_size,
                    part.num_rows,
                    ends["min"].as_py(),
                    ends["max"].as_py(),
                    partition,
                )
            )
        for place in folders:
            fsync_path(place)
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return written


def write_parquet(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """One Parquet file, zstd 1, money as 64-bit integers, on the disk when this returns (its folder is not)."""
    writer: pq.ParquetWriter | None = None
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(
                    path,
                    schema,
                    compression="zstd",
                    compression_level=1,
                    store_decimal_as_integer=True,
                    store_schema=False,
                    **_encodings(table),
                )
            writer.write_table(table, ROW_GROUP)
    finally:
        if writer is not None:
            writer.close()
    fsync_path(path)


def _encodings(table: pa.Table) -> dict[str, Any]:
    """A dictionary for values that repeat in a sample; it costs twice the time where they do not."""
    repeating, packed = [], {}
    for field in table.schema:
        values = table.column(field.name).slice(0, _SAMPLE_ROWS)
        if pa.types.is_list(field.type):
            repeating.append(f"{field.name}.list.element")
        elif pa.types.is_dictionary(field.type) or 2 * pc.count_distinct(values, "all").as_py() <= len(
            values
        ):
            repeating.append(field.name)
        elif pa.types.is_int64(field.type):
            packed[field.name] = "DELTA_BINARY_PACKED"  # such as seq: differences of one
    return {"use_dictionary": repeating, "column_encoding": packed}


def _split(
    rows: pa.Table, partition_by: list[str]
) -> Iterator[tuple[tuple[tuple[str, str | None], ...], pa.Table]]:
    if not rows.num_rows:
        return
    if not partition_by:
        yield (), rows
        return
    (name,) = partition_by
    column = rows.column(name).combine_chunks()
    body = rows.drop_columns([name])
    values = pc.unique(column).to_pylist()
    for value in sorted(values, key=lambda v: (v is None, v)):
        if len(values) == 1:
            yield ((name, value),), body
        else:
            mask = pc.is_null(column) if value is None else pc.equal(column, value)
            yield ((name, value),), body.filter(mask)


def read_file(folder: Path, file: LiveFile, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` from one file; those that it lacks (added later) are null."""
    return pa.concat_tables([schema.empty_table(), *_file_batches(folder, file, schema, ROW_GROUP)])


def _file_batches(folder: Path, file: LiveFile, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
    partition = dict(file.partition)
    with pq.ParquetFile(folder / file.path) as reader:
        there = set(reader.schema_arrow.names)
        names = [name for name in schema.names if name in there]
        for body in reader.iter_batches(batch_rows, columns=names, use_threads=False):
            columns = []
            for field in schema:
                if field.name in partition:
                    columns.append(pa.repeat(pa.scalar(partition[field.name], field.type), body.num_rows))
                elif field.name in there:
                    columns.append(body.column(field.name).cast(field.type))
                else:
                    columns.append(pa.nulls(body.num_rows, field.type))
            yield pa.table(columns, schema=schema)


def read_in_order(
    folder: Path, files: Iterable[LiveFile], schema: pa.Schema, seq_from: int, seq_to: int, batch_rows: int
) -> Iterator[pa.Table]:
    """Rows with seq_from <= seq < seq_to, by seq, in tables of at most `batch_rows` rows.

    `schema` must contain seq. Memory is bounded: files whose seq overlap are sorted together, by DuckDB
    with a folder to spill into when they are large.
    """
    for group in overlapping([f for f in files if f.seq_max >= seq_from and f.seq_min < seq_to]):
        if sum(file.rows for file in group) <= max(_IN_MEMORY_ROWS, batch_rows):
            rows = sort_rows(pa.concat_tables([read_file(folder, file, schema) for file in group]))
            seqs = rows.column("seq").to_numpy()
            first, last = np.searchsorted(seqs, [seq_from, seq_to])
            for start in range(int(first), int(last), batch_rows):
                yield rows.slice(start, min(batch_rows, int(last) - start))
        else:
            yield from _sorted_by_duckdb(folder, group, schema, seq_from, seq_to, batch_rows)


def read_any_order(
    folder: Path, files: Iterable[LiveFile], schema: pa.Schema, seq_from: int, seq_to: int, batch_rows: int
) -> Iterator[pa.Table]:
    """As `read_in_order`, in the order of the files."""
    for file in files:
        if file.seq_max < seq_from or file.seq_min >= seq_to:
            continue
        for rows in _file_batches(folder, file, schema, batch_rows):
            wanted = rows
            if file.seq_min < seq_from or file.seq_max >= seq_to:
                seqs = rows.column("seq")
                wanted = rows.filter(pc.and_(pc.greater_equal(seqs, seq_from), pc.less(seqs, seq_to)))
            if wanted.num_rows:
                yield wanted


def sort_rows(rows: pa.Table) -> pa.Table:
    """By seq, without moving anything when they are in order already."""
    seqs = rows.column("seq").to_numpy()
    if len(seqs) > 1 and not bool(np.all(seqs[1:] >= seqs[:-1])):
        rows = rows.take(pa.array(np.argsort(seqs, kind="stable")))
    return rows


def overlapping(files: Iterable[LiveFile]) -> Iterator[list[LiveFile]]:
    """Files in groups, by seq, so that no two groups' seq overlap."""
    group: list[LiveFile] = []
    reach = -1
    for file in sorted(files, key=lambda f: f.seq_min):
        if group and file.seq_min > reach:
            yield group
            group = []
        group.append(file)
        reach = max(reach, file.seq_max)
    if group:
        yield group


def scan_sql(folder: Path, files: Iterable[LiveFile], schema: pa.Schema) -> str:
    """DuckDB's read_parquet over the files, with the partition column as text; no files: no rows of these columns."""
    parts: dict[tuple[tuple[str, str | None], ...], list[str]] = {}
    for file in files:
        parts.setdefault(file.partition, []).append(quoted(str(folder / file.path)))
    if not parts:
        columns = ", ".join(f'NULL::{_duckdb_type(field.type)} AS "{field.name}"' for field in schema)
        return f"(SELECT {columns} WHERE false)"
    if "=" not in str(folder):
        paths = ", ".join(path for part in parts.values() for path in part)
        hive = (
            "hive_partitioning = true, hive_types = {'month': 'VARCHAR'}"
            if any(parts)
            else "hive_partitioning = false"
        )
        return f"read_parquet([{paths}], union_by_name = true, {hive})"
    # the folders above the table would be taken for partitions: so the partitions are named one by one
    selects = []
    for partition, paths_of in parts.items():
        values = "".join(f", {'NULL' if v is None else quoted(v)}::VARCHAR AS {key}" for key, v in partition)
        selects.append(
            f"SELECT *{values} FROM read_parquet([{', '.join(paths_of)}], union_by_name = true, "
            "hive_partitioning = false)"
        )
    return f"({' UNION ALL BY NAME '.join(selects)})"


def quoted(text: str) -> str:
    """Text as an SQL literal (F-24)."""
    return "'" + text.replace("'", "''") + "'"


def _duckdb_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_duckdb_type(kind.value_type)}[]"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return {"int64": "BIGINT", "string": "VARCHAR", "binary": "BLOB", "bool": "BOOLEAN"}[str(kind)]


def _sorted_by_duckdb(
    folder: Path, files: list[LiveFile], schema: pa.Schema, seq_from: int, seq_to: int, batch_rows: int
) -> Iterator[pa.Table]:
    with spilling(folder) as con:
        there = {
            row[0]
            for row in con.execute(f"DESCRIBE SELECT * FROM {scan_sql(folder, files, schema)}").fetchall()
        }
        names = ", ".join(f'"{name}"' for name in schema.names if name in there)
        rows = con.sql(
            f"SELECT {names} FROM {scan_sql(folder, files, schema)} "
            f"WHERE seq >= {int(seq_from)} AND seq < {int(seq_to)} ORDER BY seq"
        )
        for batch in rows.to_arrow_reader(batch_rows):
            table = pa.Table.from_batches([batch])
            yield pa.table(
                [
                    table.column(f.name).cast(f.type) if f.name in there else pa.nulls(table.num_rows, f.type)
                    for f in schema
                ],
                schema=schema,
            )


@contextmanager
def spill_folder(folder: Path) -> Iterator[str]:
    """Where DuckDB puts what its memory cannot hold: beside the table, made when it is needed, gone at the end.

    LedgerFault if there is no room for it (F-18).
    """
    place = folder.parent / f".spill-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        yield str(place)
    except duckdb.OutOfMemoryException as error:
        raise _no_room(folder.parent, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def scratch_file(folder: Path) -> Iterator[IO[bytes]]:
    """A file without a name, gone with the process that has it, however that ends.

    Beside the table; elsewhere if only reading is allowed there. LedgerFault if there is no room for what is written
    (F-18).
    """
    place = folder.parent if os.access(folder.parent, os.W_OK) else Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            yield file
    except OSError as error:
        raise _no_room(place, error) from error


def _no_room(place: Path, error: Exception) -> LedgerFault:
    why = str(error).splitlines()[0].rstrip(".")
    return LedgerFault(
        f"The disk with {place} has no room for what memory cannot hold ({why}): free some space and run the "
        "same command again; nothing was lost."
    )


@contextmanager
def spilling(folder: Path, memory: str = "512MB") -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with bounded memory that sorts through a folder beside the table."""
    with spill_folder(folder) as place:
        settings = {"temp_directory": place, "memory_limit": memory, "TimeZone": "UTC"}
        with duckdb.connect(config={**settings, "autoinstall_known_extensions": "false"}) as con:
            yield con
