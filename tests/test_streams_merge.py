"""Several rows of one call: what the record is, and that it does not depend on how the file is cut."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.records import RECORD
from streams import chunks
from streams.decode import Format, read_chunks
from streams.mapping import Mapping, Source

DAY = datetime(2026, 11, 3, tzinfo=UTC)
COLUMNS = ("call_id", "service_number", "start_at", "answer_at", "end_at", "duration_s", "answering_phone")


def a_format(**changes: Any) -> Format:
    plain = Mapping("rows", "csv", {name: Source((name,)) for name in COLUMNS}, merge=True)
    return replace(plain, **changes)


def at(second: int | None) -> str:
    return "" if second is None else (DAY + timedelta(seconds=second)).isoformat()


def a_row(
    call: str = "c",
    start: int = 0,
    answer: int | None = None,
    end: int = 30,
    billed: int | str = 0,
    phone: str = "8001",
) -> str:
    return f"{call},4001170392,{at(start)},{at(answer)},{at(end)},{billed},{phone}"


def read(lines: list[str], fmt: Format | None = None, **options: Any) -> list[dict[str, Any]]:
    data = "\n".join([",".join(COLUMNS), *lines, ""]).encode()
    found = []
    for chunk in read_chunks(io.BytesIO(data), fmt or a_format(), **options):
        assert chunk.records.schema.equals(RECORD)
        found += chunk.records.to_pylist()
    return found


def seconds(moment: datetime | None) -> int | None:
    return None if moment is None else round((moment - DAY).total_seconds())


def summary(row: dict[str, Any]) -> tuple[Any, ...]:
    return *(seconds(row[name]) for name in ("start_at", "answer_at", "end_at")), row["duration_s"]


def test_phones_that_rang_and_the_one_that_answered_are_one_call() -> None:
    """CONTRACT: answered if a row says so and has billed seconds, earliest start, raw is all rows."""
    lines = [
        a_row(start=0, end=20),
        a_row(start=20, answer=25, end=86, billed=61, phone="8002"),
        a_row(start=5, end=20, phone="8003"),
    ]
    other = a_row("d", 3, 9, 40, 31)
    first, second = read([lines[0], other, *lines[1:]])
    assert summary(first) == (0, 25, 86, 61)
    assert (first["answering_phone"], first["raw"]) == ("8002", "\n".join(lines).encode())
    assert json.loads(first["extra"]) == {"merged_rows": 3}
    assert first["source_pos"] < second["source_pos"]
    assert (second["raw"], second["extra"]) == (other.encode(), None)


def test_billed_seconds_of_billed_rows_are_added_up() -> None:
    """CONTRACT, F-03: a transfer is charged for both parts, and the record agrees with itself."""
    [row] = read(
        [a_row(start=0, answer=5, end=65, billed=60), a_row(start=65, answer=75, end=105, billed=30)]
    )
    assert summary(row) == (0, 5, 95, 90)
    assert json.loads(row["extra"]) == {"merged_rows": 2, "ended_at": "2026-11-03T08:01:45+08:00"}
    [row] = read([a_row(start=0, answer=5, end=65, billed=60), a_row(start=0, answer=7, end=65, billed=58)])
    assert summary(row) == (0, 5, 123, 118)


def test_a_row_that_stands_twice_is_charged_once() -> None:
    """R-INV-6: a log that was copied into itself does not double the seconds."""
    line = a_row(answer=5, end=66, billed=61)
    [row] = read([line, line, a_row()])
    assert (summary(row), row["raw"].count(line.encode())) == ((0, 5, 66, 61), 2)


def test_a_call_that_nobody_answered_has_no_seconds() -> None:
    """CONTRACT: a row without billed seconds was not answered."""
    [row] = read([a_row(), a_row(answer=29, end=29), a_row(phone="8002")])
    assert summary(row) == (0, None, 30, 0)


def test_a_row_that_cannot_be_read_costs_its_call_and_no_other() -> None:
    """F-09: a part of a call is not billed as the whole."""
    bad, good, other = read([a_row(answer=5, end=66, billed=61), a_row("d"), a_row(billed="x"), a_row("e")])
    assert (bad["call_id"], bad["fault"]) == ("c", "UNREADABLE")
    assert bad["fault_detail"].startswith("Row 2 of the call's 2: duration_s is")
    assert (good["call_id"], good["fault"], other["call_id"], other["fault"]) == ("d", None, "e", None)
    assert [row["fault"] for row in read(["x", "y", a_row()])] == ["UNREADABLE", "UNREADABLE", None]


def test_nonsense_is_passed_on_and_nothing_wraps() -> None:
    """F-02, F-04: a negative duration stays negative, a huge one huge."""
    [row] = read([a_row(answer=5, end=66, billed=-7), a_row(answer=5, end=66, billed=61)])
    assert row["duration_s"] == -7
    [row] = read([a_row(answer=5, end=66, billed=2**63 - 1), a_row(answer=6, end=66, billed=2**63 - 1)])
    assert row["duration_s"] > 365 * 86_400


def test_rows_further_apart_than_the_window_are_two_records() -> None:
    """R-INV-6: the second becomes a duplicate or a conflict in the ledger, never a charge of its own."""
    lines = [a_row("c"), *(a_row(f"d{place}") for place in range(40)), a_row("c")]
    assert len(read(lines, a_format(merge_window=100))) == 42
    assert len(read(lines, a_format(merge_window=1 << 20))) == 41


rows_made = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.integers(0, 400),
        st.sampled_from([0, 0, 5, 61]),
        st.sampled_from(["1", "2"]),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(
    rows_made,
    st.integers(20, 1500),
    st.sampled_from([1, 150, 400, 1 << 20]),
    st.sampled_from([300, 1000, 1 << 20]),
)
def test_records_do_not_depend_on_how_the_file_is_cut(
    made: list[tuple[str, int, int, str]], chunk_bytes: int, window: int, most: int
) -> None:
    """R-INV-5: any size of chunk and any resumption at a chunk's end give the same records, no row is lost."""
    lines = [
        a_row(call, second, second + 2 if billed else None, second + 2 + billed, billed, phone)
        for call, second, billed, phone in made
    ]
    data = "\n".join([",".join(COLUMNS), *lines, ""]).encode()
    fmt = a_format(merge_window=window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "_GROUP_MAX_BYTES", most)
        whole = [row for chunk in read_chunks(io.BytesIO(data), fmt) for row in chunk.records.to_pylist()]
        found, start = [], 0
        for chunk in read_chunks(io.BytesIO(data), fmt, chunk_bytes=chunk_bytes):
            assert chunk.start == start
            start = chunk.end
            found += chunk.records.to_pylist()
            rest = read_chunks(io.BytesIO(data), fmt, start=start)
            assert found + [row for other in rest for row in other.records.to_pylist()] == whole
    assert found == whole
    assert Counter(b"\n".join(row["raw"] for row in whole).decode().split("\n")) == Counter(lines or [""])
    if window == most == 1 << 20:
        billed: Counter[str] = Counter()
        for line in set(lines):
            billed[line[0]] += int(line.split(",")[5])
        assert {row["call_id"]: row["duration_s"] for row in whole} == {
            call: billed[call] for call, *_ in made
        }


def test_a_growing_file_keeps_a_call_open_for_a_minute() -> None:
    """CONTRACT: with --follow an id stays open 60 s, in the time of the calls."""
    lines = [a_row("c", 0, end=40), a_row("d", 0, 5, 66, 61), a_row("e", 60, end=75), a_row("f", 70, end=90)]
    assert read(lines, complete=False) == []
    lines.append(a_row("g", 100, end=127))
    found = read(lines, complete=False)
    assert [row["call_id"] for row in found] == ["c", "d"]
    assert [row["call_id"] for row in read(lines, complete=False, hold_open_s=30)] == ["c", "d", "e", "f"]
    assert [row["call_id"] for row in read(lines)] == ["c", "d", "e", "f", "g"]
    spanning = [*lines, a_row("c", 120, 125, 140, 15)]
    assert read(spanning, complete=False) == []


def test_one_date_far_ahead_does_not_hold_up_a_growing_file_for_good() -> None:
    """F-01: a wrong clock in one row holds up a thousand rows at most."""
    lines = [a_row("x", 0, end=10**9), *(a_row(f"c{place}", place, end=place + 5) for place in range(1400))]
    found = read(lines, complete=False)
    assert len(found) > 300
    assert found[0]["call_id"] == "x"


def test_json_lines_are_merged_as_well() -> None:
    fmt = replace(a_format(), kind="jsonl")
    record = {
        "call_id": "c",
        "service_number": "4001170392",
        "start_at": at(0),
        "end_at": at(66),
        "duration_s": 61,
        "answer_at": at(5),
    }
    data = json.dumps(record) + "\n" + json.dumps(record | {"duration_s": 0, "answer_at": None}) + "\n"
    [chunk] = read_chunks(io.BytesIO(data.encode()), fmt)
    [row] = chunk.records.to_pylist()
    assert summary(row) == (0, 5, 66, 61)
