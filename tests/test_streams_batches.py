"""Batches from Kafka into the ledger: exactly once, beside other writers and stale ones (F-16, F-19)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ledger import charge
from ledger.home import Home
from streams import batches
from streams.batches import Batch, Span, commit, joined
from streams.cluster import Topic
from streams.messages import MessageDecoder
from streams.positions import Gap, next_offset
from tests.ledgers import ARRIVED, a_call, a_home

CDRS = Topic("cdrs", "id-1", 3)


def a_batch(first: int, last: int, partition: int = 0, calls_from: int | None = None) -> Batch:
    """The records first <= offset < last of a partition; call ids go by `calls_from`, or the offset."""
    begin = first if calls_from is None else calls_from
    values = [a_call(begin + place).rstrip() for place in range(last - first)]
    records, _ = MessageDecoder().records(values, [None] * len(values), np.arange(first, last))
    return Batch(records, np.full(len(values), partition, np.int32), {partition: Span(first, last)})


def ids(home: Home) -> list[str]:
    rows = home.calls.read_since(0, ["call_id", "outcome"]).to_pylist()
    return [row["call_id"] for row in rows if row["outcome"] == "rated"]


def test_rows_and_offsets_of_all_partitions_are_one_commit(tmp_path: Path) -> None:
    """R-INV-1: a batch of two partitions, and where each record came from."""
    home = a_home(tmp_path)
    version = home.calls.version
    done = commit(home, CDRS, joined([a_batch(0, 3), a_batch(0, 2, 2, calls_from=7), a_batch(3, 4)]), ARRIVED)
    assert (done.rows, done.counts["rated"], home.calls.version) == (6, 6, version + 1)
    assert [next_offset(home.calls, CDRS, number) for number in range(3)] == [4, 0, 2]
    rows = home.calls.read_since(0, ["source", "source_pos"]).to_pylist()
    assert [(row["source"], row["source_pos"]) for row in rows] == [
        ("cdrs/0", 0), ("cdrs/0", 1), ("cdrs/0", 2), ("cdrs/2", 0), ("cdrs/2", 1), ("cdrs/0", 3)]  # fmt: skip


def test_what_is_read_again_is_not_written_again(tmp_path: Path) -> None:
    """F-16: killed after the commit, before anybody was told; the next one reads the same records."""
    home = a_home(tmp_path)
    commit(home, CDRS, a_batch(0, 10), ARRIVED)
    again = commit(Home.open(tmp_path), CDRS, a_batch(0, 12), ARRIVED)
    assert (again.known, again.rows) == (10, 2)
    nothing = commit(home, CDRS, a_batch(0, 12), ARRIVED)
    assert (nothing.known, nothing.rows) == (12, 0)
    assert ids(home) == [f"k{place}" for place in range(12)]


def test_a_stale_commit_is_refused_and_decided_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-19: while a stopped worker slept with a batch in hand, another took its partition over."""
    zombie, other = a_home(tmp_path), Home.open(tmp_path)
    decide = charge.rated_rows
    slept = []

    def stopped(*arguments: object) -> object:
        rows = decide(*arguments)  # type: ignore[arg-type]
        if not slept:  # SIGSTOP here, SIGCONT when the other is done
            slept.append(True)
            monkeypatch.setattr(batches, "rated_rows", decide)
            commit(other, CDRS, a_batch(0, 8), ARRIVED)
        return rows

    monkeypatch.setattr(batches, "rated_rows", stopped)
    done = commit(zombie, CDRS, a_batch(0, 10), ARRIVED)
    assert (done.lost_races, done.known, done.rows) == (1, 8, 2)
    assert ids(zombie) == [f"k{place}" for place in range(10)]
    assert next_offset(zombie.calls, CDRS, 0) == 10


def test_the_same_call_from_another_partition_is_a_duplicate(tmp_path: Path) -> None:
    """F-10, F-11: also days later, also with other content."""
    home = a_home(tmp_path)
    commit(home, CDRS, a_batch(0, 2), ARRIVED)
    done = commit(home, CDRS, a_batch(0, 2, partition=1, calls_from=1), ARRIVED)
    assert (done.counts["rated"], done.counts["duplicate"]) == (1, 1)


def test_a_batch_that_does_not_join_on_is_not_written(tmp_path: Path) -> None:
    """F-17: never write behind a gap."""
    home = a_home(tmp_path)
    commit(home, CDRS, a_batch(0, 5), ARRIVED)
    with pytest.raises(Gap, match="from offset 7 on were read, but the ledger is at 5"):
        commit(home, CDRS, a_batch(7, 9), ARRIVED)
    assert home.calls.next_seq == 5


def test_a_message_without_records_moves_the_offset(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    empty = Batch(a_batch(0, 1).records[:0], np.zeros(0, np.int32), {1: Span(0, 1)})
    assert commit(home, CDRS, empty, ARRIVED).rows == 0
    assert next_offset(home.calls, CDRS, 1) == 1


def test_a_topic_read_again_into_an_empty_ledger_gives_the_same_rows(tmp_path: Path) -> None:
    """F-28: however the topic is cut into batches."""
    first, second = a_home(tmp_path / "first"), a_home(tmp_path / "second")
    commit(first, CDRS, a_batch(0, 30), ARRIVED)
    for begin in range(0, 30, 7):
        commit(second, CDRS, a_batch(begin, min(begin + 7, 30)), ARRIVED)
    assert first.calls.read_since(0).equals(second.calls.read_since(0))
    assert first.events.read_since(0).equals(second.events.read_since(0))
