"""The hash chain: what it proves after rewriting, and what it finds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import proof
from ledger.chain import FIRST, Chain, ChainFault, Link, head_number, next_head
from ledger.digest import digest
from ledger.log import LedgerFault, Log
from ledger.maintain import maintain
from ledger.proof import verify_chain
from ledger.schema import CALLS, EVENTS
from rating.money import MONEY
from rating.records import INSTANT

ROWS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("service_number", pa.string()),
        pa.field("start_at", INSTANT),
        pa.field("month", pa.string()),
        pa.field("owner_fee", MONEY),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("raw", pa.binary()),
        pa.field("duration_s", pa.int64()),
    ]
)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)

TEXTS = st.none() | st.text(max_size=4)
ONE_ROW = st.fixed_dictionaries(
    {
        "service_number": TEXTS,
        "start_at": st.none()
        | st.integers(-(10**15), 10**15).map(lambda us: BEGIN + timedelta(microseconds=us)),
        "month": st.none() | st.sampled_from(["2026-10", "2026-11"]),
        "owner_fee": st.none() | st.integers(-(10**15), 10**15).map(lambda n: Decimal(n).scaleb(-4)),
        "tags": st.none() | st.lists(TEXTS, max_size=3),
        "raw": st.none() | st.binary(max_size=3),
        "duration_s": st.none() | st.integers(-(2**63), 2**63 - 1),
    }
)


def table(rows: list[dict[str, object]], first: int = 0) -> pa.Table:
    return pa.Table.from_pylist([{"seq": n, **row} for n, row in enumerate(rows, first)], schema=ROWS)


def some_rows(count: int, first: int = 0) -> pa.Table:
    numbers = range(first, first + count)
    return table(
        [
            {
                "service_number": f"400{n % 7:07d}",
                "start_at": BEGIN + timedelta(seconds=n * 977 % 86_400),
                "month": ("2026-11", "2026-10", None)[n % 3],
                "owner_fee": Decimal(n) / 100,
                "tags": ["late"] * (n % 2),
                "duration_s": n,
            }
            for n in numbers
        ],
        first,
    )


def a_log(place: Path, commits: int = 4, rows: int = 5) -> Log:
    log = Log.create(place / "calls", ROWS, ["month"])
    for n in range(commits):
        log.append(some_rows(rows, n * rows))
    return log


def sentences(log: Log) -> str:
    return "\n".join(f"{f.seq_from}-{f.seq_to}: {f.sentence}" for f in verify_chain(log))


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE_ROW, max_size=6), st.data())
def test_the_digest_depends_on_the_values_alone(rows: list[dict[str, object]], data: st.DataObject) -> None:
    """R-INV-6: not on chunks, slices, dictionaries, or what lies under a null."""
    whole = table(rows)
    expected = digest(whole, ROWS, 0)
    cut = data.draw(st.integers(0, len(rows)))
    assert digest(pa.concat_tables([whole.slice(0, cut), whole.slice(cut)]), ROWS, 0) == expected
    padded = table([*rows[:1], *rows, *rows[:1]], -1 if rows else 0)
    assert digest(padded.slice(1 if rows else 0, len(rows)), ROWS, 0) == expected
    coded = whole.set_column(1, "service_number", whole.column("service_number").dictionary_encode())
    assert digest(coded, ROWS, 0) == expected
    wider = ROWS.append(pa.field("queue", pa.string()))
    assert digest(whole, wider, 0) == expected, "a column that came later changes old digests"


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE_ROW, min_size=1, max_size=4), st.lists(ONE_ROW, min_size=1, max_size=4))
def test_different_rows_have_different_digests(
    one: list[dict[str, object]], other: list[dict[str, object]]
) -> None:
    assert (digest(table(one), ROWS, 0) == digest(table(other), ROWS, 0)) == (table(one).equals(table(other)))


def test_what_lies_under_a_null_does_not_count() -> None:
    garbage = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([5, 99]).tobytes())]
    )
    assert garbage.to_pylist() == [5, None]
    rows = table([{"duration_s": 5}, {"duration_s": None}])
    assert digest(rows.set_column(7, "duration_s", garbage), ROWS, 0) == digest(rows, ROWS, 0)


def test_rows_that_are_not_dense_have_no_digest() -> None:
    with pytest.raises(ValueError, match="densely"):
        digest(some_rows(3), ROWS, 1)


def test_the_digest_stays_what_it_was() -> None:
    """A ledger of today is verified by the program of tomorrow: if this fails, old ledgers no longer prove."""
    assert digest(some_rows(100), ROWS, 0) == EXPECTED
    assert digest(CALLS.empty_table(), CALLS, 7) != digest(EVENTS.empty_table(), EVENTS, 8)


EXPECTED = "36edaad7ceb1ebe1078802c5e7f5d83c6c67dd66ad37cb0eb013e7a793bd6028"


def test_an_untouched_table_proves_before_and_after_maintenance(tmp_path: Path) -> None:
    """R-INV-6: the digest survives sorting, merging and recompressing."""
    log = a_log(tmp_path)
    log.append(some_rows(0).slice(0, 0), offsets={"p": 1})
    assert verify_chain(log) == []
    report = maintain(log, keep=timedelta(0))
    assert report.merged_files == 12
    assert sorted(report.sorted_months) == ["2026-10", "2026-11"]
    log.append(some_rows(5, 20))
    assert verify_chain(log) == []
    told: list[int] = []
    assert verify_chain(Log.open(log.folder, ROWS), told.append) == []
    assert told[-1] == 25


def test_an_empty_table_proves(tmp_path: Path) -> None:
    assert verify_chain(a_log(tmp_path, 0)) == []


def change(log: Log, which: int, how: object) -> None:
    """Rewrites the file that holds a seq behind the ledger's back."""
    for path in log.files():
        rows = pq.ParquetFile(path).read()
        if which in rows.column("seq").to_pylist():
            pq.write_table(how(rows, rows.column("seq").to_pylist().index(which)), path, store_schema=False)  # type: ignore[operator]


def _dearer(rows: pa.Table, place: int) -> pa.Table:
    fees = rows.column("owner_fee").to_pylist()
    fees[place] += Decimal("0.01")
    return rows.set_column(rows.column_names.index("owner_fee"), "owner_fee", pa.array(fees, MONEY))


def _without(rows: pa.Table, place: int) -> pa.Table:
    return pa.concat_tables([rows.slice(0, place), rows.slice(place + 1)])


def _twice(rows: pa.Table, place: int) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(place, 1)])


def _later(rows: pa.Table, place: int) -> pa.Table:
    extra = rows.slice(place, 1).set_column(0, rows.schema.field("seq"), pa.array([999]))
    return pa.concat_tables([rows, extra])


@pytest.mark.parametrize("sorted_first", [False, True])
@pytest.mark.parametrize(
    ("how", "found"),
    [
        (_dearer, "5-10: a value of a row was changed"),
        (_without, "7-8: 1 row is missing"),
        (_twice, "5-10: 1 row is more than were committed"),
        (_later, "999-1000: 1 row is more than were committed"),
    ],
)
def test_a_changed_missing_or_added_row_is_found(
    tmp_path: Path, how: object, found: str, sorted_first: bool
) -> None:
    """R-INV-6: with its place, in appended files and in those that maintenance has sorted."""
    log = a_log(tmp_path)
    if sorted_first:
        maintain(log)
    change(log, 7, how)
    assert found in sentences(log)


def test_large_files_are_verified_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path through DuckDB's external sort finds the same."""
    monkeypatch.setattr("ledger.files._IN_MEMORY_ROWS", 3)
    monkeypatch.setattr(proof, "_BATCH", 4)
    log = a_log(tmp_path)
    maintain(log)
    assert verify_chain(log) == []
    assert log.read_since(0).equals(some_rows(20))
    change(log, 7, _dearer)
    assert "5-10: a value of a row was changed" in sentences(log)


def test_a_file_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    """F-23: any command but verify is refused; verify says which rows are gone."""
    log = a_log(tmp_path)
    for damage in (lambda path: path.write_bytes(b"PAR1 no more"), Path.unlink):
        damage(Path(log.files()[0]))
        with pytest.raises(LedgerFault, match="Restore"):
            Log.open(log.folder, ROWS)
        found = sentences(Log.open(log.folder, ROWS, whole=False))
        assert "cannot be read" in found
        assert "2 rows are missing" in found


def _edit(log: Log, number: int, **fields: object) -> None:
    lines = log.chain.path.read_bytes().splitlines(keepends=True)
    if fields:
        lines[number] = json.dumps(json.loads(lines[number]) | fields, separators=(",", ":")).encode() + b"\n"
    else:
        del lines[number]
    log.chain.path.write_bytes(b"".join(lines))


def test_an_edited_chain_file_is_found(tmp_path: Path) -> None:
    """R-INV-6: a line's digest, its range, a line taken out, an unreadable line, the first line."""
    log = a_log(tmp_path)
    kept = log.chain.path.read_bytes()
    for number, fields, found in (
        (2, {"digest": "00" * 32}, "line 3 of calls.chain.jsonl does not continue the chain"),
        (2, {"seq_to": 11}, "begins at seq 10, the line before it ends at 11"),
        (2, {}, "lines were removed or added"),
        (2, {"digest": 7}, "line 3 of calls.chain.jsonl cannot be read"),
        (0, {"head": "00" * 31 + "01"}, "is not the table's creation"),
        (4, {}, "ends at seq 15, the table at 20"),
    ):
        _edit(log, number, **fields)
        assert found in sentences(log)
        log.chain.path.write_bytes(kept)
    assert verify_chain(log) == []


def test_a_chain_that_was_computed_anew_for_changed_rows_is_found(tmp_path: Path) -> None:
    """R-INV-6: the table's own log has 63 bits of the head."""
    log = a_log(tmp_path)
    maintain(log)
    change(log, 7, _dearer)
    rows = pa.concat_tables([log.read_since(0)])
    before, lines = FIRST, []
    for _, link in log.chain.links():
        assert link is not None
        if link.version:
            new = digest(rows.slice(link.seq_from, link.seq_to - link.seq_from), ROWS, link.seq_from)
            link = Link(link.version, link.seq_from, link.seq_to, new, next_head(before.head, new), link.at)  # noqa: PLW2901
        lines.append(json.dumps(link.__dict__).encode() + b"\n")
        before = link
    log.chain.path.write_bytes(b"".join(lines))
    assert "the head of calls.chain.jsonl is not the one" in sentences(log)
    assert "does not fit the table" in (Log.open(log.folder, ROWS, whole=False).chain_fault or "")


def test_a_missing_chain_file_is_found(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.chain.path.unlink()
    assert "calls.chain.jsonl is missing" in sentences(Log.open(log.folder, ROWS))


def test_a_chain_file_that_was_shortened_is_not_continued(tmp_path: Path) -> None:
    """R-INV-6: an old copy of the file, restored beside a newer table."""
    log = a_log(tmp_path)
    for n in range(2):
        log.append(some_rows(5, 20 + 5 * n))
        maintain(log)
    _edit(log, 6)
    _edit(log, 5)
    short = Log.open(log.folder, ROWS)
    assert short.next_seq == 30
    with pytest.raises(LedgerFault, match="does not fit the table"):
        short.append(some_rows(1, 30))
    assert "ends at seq 20, the table at 30" in sentences(short)


def test_links_are_read_from_either_end(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "calls")
    with pytest.raises(ChainFault, match="missing"), chain.locked():
        pass
    chain.create()
    chain.create()
    head = FIRST.head
    links = [FIRST]
    for n in range(1_000):
        head = next_head(head, f"{n:064x}")
        links.append(Link(n + 1, n, n + 1, f"{n:064x}", head, None))
    with chain.locked() as tail:
        tail.append(links[1:600])
    other = Chain(tmp_path / "calls")
    with other.locked() as tail:
        assert tail.last == links[599]
        tail.append(links[600:])
    with chain.locked() as tail:
        assert tail.last == links[-1]
    assert [link for _, link in chain.links()] == links
    assert list(chain.links_backward()) == links[::-1]


def test_half_a_line_is_cut_off_and_a_foreign_one_refused(tmp_path: Path) -> None:
    """F-23: the chain file's own torn end."""
    chain = Chain(tmp_path / "calls")
    chain.create()
    whole = chain.path.read_bytes()
    chain.path.write_bytes(whole + b'{"version":1,"seq_')
    with chain.locked() as tail:
        assert tail.last == FIRST
    assert chain.path.read_bytes() == whole
    chain.path.write_bytes(whole + b"hello\n")
    with pytest.raises(ChainFault, match="unreadable"), Chain(tmp_path / "calls").locked():
        pass


def test_a_head_fits_into_a_transaction() -> None:
    assert 0 <= head_number("f" * 64) < 1 << 63
    assert head_number(FIRST.head) == 0
