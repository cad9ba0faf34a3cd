"""Parquet files of calls."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rating.records import RECORD
from streams.decode import FormatError, digest_at, load_format, read_chunks

MOMENT = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
PARQUET = load_format("parquet")


def a_file(count: int = 3, *, row_group: int = 1000, **columns: Any) -> bytes:
    made: dict[str, Any] = {
        "call_id": pa.array([f"c{row}" for row in range(count)]),
        "service_number": pa.array(["4001170392"] * count),
        "start_at": pa.array([MOMENT] * count, pa.timestamp("us", "UTC")),
        "end_at": pa.array([MOMENT] * count, pa.timestamp("us", "UTC")),
    }
    target = io.BytesIO()
    pq.write_table(pa.table({**made, **columns}), target, row_group_size=row_group)
    return target.getvalue()


def rows(data: bytes, **options: Any) -> list[dict[str, Any]]:
    found = []
    for chunk in read_chunks(io.BytesIO(data), PARQUET, **options):
        assert chunk.records.schema.equals(RECORD)
        chunk.records.validate(full=True)
        found += chunk.records.to_pylist()
    return found


def test_columns_of_any_type_that_holds_them_exactly_are_read() -> None:
    """CONTRACT: the same columns in Parquet."""
    data = a_file(
        service_number=pa.array([4001170392] * 3),
        caller_number=pa.array(["138", None, ""]).dictionary_encode(),
        start_at=pa.array(["2026-11-03T10:15:00+08:00", "2026-11-03 10:15:00", "no"]),
        answer_at=pa.array([None, datetime(2026, 11, 3, 10, 15), None], pa.timestamp("ns")),  # noqa: DTZ001
        duration_s=pa.array([None, 7, Decimal(2**70)], pa.decimal128(38, 0)),
        queue=pa.array(['"a"', None, "b"], pa.large_string()),
        cost=pa.array([1, None, 3]),
        more=pa.array([[1], None, []]),
    )
    first, second, third = rows(data)
    assert (first["service_number"], first["caller_number"], first["duration_s"]) == (
        "4001170392",
        "138",
        None,
    )
    assert json.loads(first["extra"]) == {"queue": '"a"', "cost": 1, "more": [1]}
    assert (second["caller_number"], second["start_at"], second["answer_at"], second["duration_s"]) == (
        None,
        MOMENT,
        MOMENT,
        7,
    )
    assert (second["extra"], second["source_pos"]) == (None, 1)
    assert (third["fault"], third["call_id"], third["caller_number"]) == ("UNREADABLE", "c2", None)


def test_a_row_s_raw_bytes_are_a_line_of_json() -> None:
    """R-INV-1: a reject keeps what it was, in a form that can be read again."""
    row = rows(a_file(caller_number=pa.array(["1", None, "3"]), duration_s=pa.array([5, None, 7])))[0]
    [chunk] = read_chunks(io.BytesIO(row["raw"]), load_format("jsonl"))
    again = chunk.records.to_pylist()[0]
    assert again == row | {"raw": again["raw"]}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"duration_s": pa.array([1.0, 2.0, 3.0])}, "duration_s is double; write it as int64"),
        ({"call_id": pa.array([1.0, 2.0, 3.0])}, "call_id is double; write it as text"),
        ({"call_id": pa.array([b"1", b"2", b"3"])}, "call_id is binary; write it as text"),
        ({"start_at": pa.array([1, 2, 3])}, "start_at is int64; write it as a timestamp"),
    ],
)
def test_a_column_whose_type_may_not_hold_it_is_refused(columns: dict[str, Any], says: str) -> None:
    """F-22: a narrowed type is refused, not rounded."""
    with pytest.raises(FormatError, match=says):
        rows(a_file(**columns))


def test_a_file_that_is_not_whole_or_lacks_a_column_is_refused() -> None:
    with pytest.raises(FormatError, match="not a whole Parquet file"):
        rows(a_file()[:-10])
    table = pq.read_table(io.BytesIO(a_file())).drop(["end_at"])
    target = io.BytesIO()
    pq.write_table(table, target)
    with pytest.raises(FormatError, match="no column end_at"):
        rows(target.getvalue())


def test_chunks_are_rows_and_the_digest_is_the_file_s() -> None:
    """R-INV-5: any size of chunk and any resumption at a chunk's end give the same records."""
    data = a_file(100, row_group=30)
    whole = rows(data)
    for chunk_bytes in (1, 350 * 7, 350 * 30, 1 << 20):
        found, at = [], 0
        for chunk in read_chunks(io.BytesIO(data), PARQUET, chunk_bytes=chunk_bytes):
            assert (chunk.start, chunk.digest) == (at, digest_at(io.BytesIO(data), [len(data)])[len(data)])
            at = chunk.end
            found += chunk.records.to_pylist()
            if chunk_bytes > 1:
                assert found + rows(data, start=at) == whole
        assert (found, at) == (whole, 100)


def test_a_pipe_is_read_as_well() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    [chunk] = read_chunks(Pipe(a_file()), load_format("auto", a_file()[:100]))
    assert chunk.records.num_rows == 3
