"""The duplicate index: finds what was added, forgets old months, survives anything that happens to its files."""

from __future__ import annotations

import json
import multiprocessing
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import seen as seen_module
from ledger import seen_runs
from ledger.entries import entry_path
from ledger.log import Log
from ledger.maintain import maintain
from ledger.seen import Seen, first_in_batch
from ledger.seen_runs import hash_ids
from rating.records import INSTANT

ROWS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("call_id", pa.string()),
        pa.field("month", pa.string()),
        pa.field("received_at", INSTANT),
    ]
)
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and merges at sizes that a test can afford."""
    monkeypatch.setattr(seen_module, "_TAIL", 50)
    monkeypatch.setattr(seen_module, "_HEAP", 90)
    monkeypatch.setattr(seen_module, "MAX_RUN", 400)
    monkeypatch.setattr(seen_runs, "_CHUNK", 64)


def texts(*ids: str) -> pa.Array:
    return pa.array(ids, pa.string())


def names(first: int, count: int) -> pa.Array:
    return pa.array([f"call-{n}" for n in range(first, first + count)])


def add(seen: Seen, first: int, count: int, month: str | None = "2026-11") -> None:
    months = None if month is None else pa.array([month] * count)
    seen.add(names(first, count), np.arange(first, first + count), months)


def found(seen: Seen, first: int, count: int) -> list[int]:
    result: list[int] = seen.lookup(names(first, count)).tolist()
    return result


def a_log(place: Path) -> Log:
    return Log.create(place / "calls", ROWS, ["month"])


def append(log: Log, count: int, month: str = "2026-11", outcome: str = "rated") -> None:
    first = log.next_seq
    log.append(
        pa.table(
            {
                "outcome": [outcome] * count,
                "call_id": names(first, count),
                "month": [month] * count,
                "received_at": [datetime(2026, 11, 3, tzinfo=UTC)] * count,
            },
            schema=ROWS.remove(0),
        )
    )


def test_what_was_added_is_found_and_nothing_else(tmp_path: Path) -> None:
    """F-10: in memory, in runs, in merged runs, and after opening again."""
    seen = Seen.open(tmp_path)
    for first in range(0, 1_000, 20):
        add(seen, first, 20, ("2026-11", "2026-10")[first // 20 % 2])
        assert found(seen, 0, 1_020) == [*range(first + 20), *[-1] * (1_000 - first)]
    assert len(seen) == 1_000
    seen.publish()
    again = Seen.open(tmp_path)
    assert (len(again), again.next_seq) == (1_000, 1_000)
    assert found(again, 0, 1_100) == [*range(1_000), *[-1] * 100]
    assert len(list(tmp_path.glob("*.run"))) < 20


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=30), min_size=1, max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_it_answers_like_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]], publish: list[bool]
) -> None:
    """F-10: whatever the ids, the batches, and when it was written to disk."""
    folder = tmp_path_factory.mktemp("seen")
    seen = Seen.open(folder)
    model: dict[str, int] = {}
    for batch, now in zip(batches, publish, strict=False):
        fresh = [i for i in dict.fromkeys(batch) if i not in model]
        assert seen.lookup(texts(*batch)).tolist() == [model.get(i, -1) for i in batch]
        seqs = list(range(len(model), len(model) + len(fresh)))
        seen.add(texts(*fresh), np.array(seqs, dtype=np.int64))
        model |= dict(zip(fresh, seqs, strict=True))
        if now:
            seen.publish()
            seen = Seen.open(folder)
    assert seen.lookup(texts(*model)).tolist() == list(model.values())


def test_months_beyond_the_window_are_forgotten(tmp_path: Path) -> None:
    """The window is configuration (docs/design.md 4); a call that old is TOO_LATE."""
    seen = Seen.open(tmp_path, 6)
    for place, month in enumerate(["2026-04", "2026-05", "2026-11"]):
        add(seen, 10 * place, 10, month)
    seen.publish()
    assert found(seen, 0, 30) == [*[-1] * 10, *range(10, 30)]
    add(seen, 30, 10, "2027-01")
    seen.publish()
    assert found(Seen.open(tmp_path, 6), 0, 40) == [*[-1] * 20, *range(20, 40)]


def test_ids_without_a_month_stay_for_ever(tmp_path: Path) -> None:
    """Commands: an id is claimed once and for all."""
    seen = Seen.open(tmp_path, None)
    for first in range(0, 300, 30):
        add(seen, first, 30, None)
    seen.publish()
    assert found(Seen.open(tmp_path, None), 0, 300) == list(range(300))


def test_duplicates_inside_a_batch_point_at_the_first(tmp_path: Path) -> None:
    """F-10: the same id twice in one file."""
    seen = Seen.open(tmp_path)
    batch = texts("a", "b", "a", "c", "b", "a")
    assert first_in_batch(seen.hashes(batch)).tolist() == [0, 1, 0, 3, 1, 0]
    assert first_in_batch(seen.hashes(names(0, 5))).tolist() == [0, 1, 2, 3, 4]
    assert first_in_batch(seen.hashes(texts())).tolist() == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(max_size=40) | st.text(min_size=120, max_size=300), max_size=12),
    st.integers(0, 2**64 - 1),
)
def test_a_hash_depends_on_its_own_id_alone(ids: list[str], seed: int) -> None:
    """Not on the batch that it comes in, nor on chunks, slices or dictionaries."""
    whole = hash_ids(pa.array(ids, pa.string()), seed).tolist()
    assert [int(hash_ids(pa.array([i], pa.string()), seed)[0]) for i in ids] == whole
    padded = pa.array(["x", *ids, "a longer one"], pa.string())
    assert hash_ids(padded.slice(1, len(ids)), seed).tolist() == whole
    assert hash_ids(pa.array(ids, pa.string()).dictionary_encode(), seed).tolist() == whole
    assert len(set(whole)) == len(set(ids))


def test_hashes_of_ids_that_differ_in_one_character_are_spread() -> None:
    """Sequential ids must not crowd in one corner of a run, nor collide."""
    hashes = np.concatenate([hash_ids(pa.array([f"2026-{n:07d}" for n in range(200_000)]), 7),
                             hash_ids(pa.array([str(n) for n in range(200_000)]), 7)])  # fmt: skip
    assert len(np.unique(hashes)) == 400_000
    for shift in (0, 28, 56):
        counts = np.bincount((hashes >> np.uint64(shift) & np.uint64(255)).astype(int), minlength=256)
        assert counts.min() > 1_300
        assert counts.max() < 1_850


def test_an_id_that_is_null_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        hash_ids(pa.array(["a", None]), 0)


def test_two_ids_of_one_hash_are_both_candidates(tmp_path: Path) -> None:
    """F-11: a hit is confirmed against the row, so a collision costs a look, not a charge."""
    seen = Seen.open(tmp_path)
    twice = np.repeat(seen.hashes(texts("one")), 2)
    seen.add(twice, np.array([4, 9]))
    seen.publish()
    seen.add(twice[:1], np.array([12]))
    assert seen.candidates("one") == [4, 9, 12]
    assert seen.lookup(texts("one")).tolist() == [4]
    assert seen.candidates("other") == []


def test_it_follows_the_ledger_and_takes_only_what_was_charged(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    seen = Seen.open(tmp_path / "seen", 6)
    append(log, 70)
    append(log, 10, outcome="rejected")
    seen.follow(log, "call_id", "rated", "month")
    assert seen.next_seq == 80
    assert found(seen, 0, 80) == [*range(70), *[-1] * 10]
    append(log, 5, "2026-10")
    seen.follow(log, "call_id", "rated", "month")
    assert found(seen, 60, 30) == [*range(60, 70), *[-1] * 10, *range(80, 85), *[-1] * 5]
    maintain(log)
    rebuilt = Seen.open(tmp_path / "other", 6)
    rebuilt.follow(log, "call_id", "rated", "month")
    assert found(rebuilt, 0, 85) == found(seen, 0, 85)


def test_an_index_of_another_ledger_is_built_again(tmp_path: Path) -> None:
    """Of the same size, or a longer one: the chain's head tells."""
    for name, count in (("same", 60), ("longer", 90)):
        (tmp_path / name).mkdir()
        other = a_log(tmp_path / name)
        append(other, 30, outcome="rejected")
        append(other, count - 30)
        seen = Seen.open(tmp_path / "seen", 6)
        seen.follow(other, "call_id", "rated", "month")
        seen.publish()
    log = a_log(tmp_path)
    append(log, 60)
    seen = Seen.open(tmp_path / "seen", 6)
    seen.follow(log, "call_id", "rated", "month")
    assert found(seen, 0, 60) == list(range(60))


def test_an_index_that_knows_of_a_commit_that_was_undone_is_built_again(tmp_path: Path) -> None:
    """F-23: the rows that come in its place are looked at, too."""
    log = a_log(tmp_path)
    append(log, 20)
    kept = log.chain.path.read_bytes()
    append(log, 60)
    seen = Seen.open(tmp_path / "seen", 6)
    seen.follow(log, "call_id", "rated", "month")
    seen.publish()
    log.chain.path.write_bytes(kept)
    entry_path(log.folder, 2).write_bytes(b"")
    after = Log.open(log.folder, ROWS)
    assert after.next_seq == 20
    append(after, 40, outcome="rejected")
    append(after, 40)
    seen = Seen.open(tmp_path / "seen", 6)
    seen.follow(after, "call_id", "rated", "month")
    assert found(seen, 0, 100) == [*range(20), *[-1] * 40, *range(60, 100)]


@pytest.mark.parametrize("damage", ["shorter", "gone", "index", "index gone", "form"])
def test_a_torn_index_is_dropped_and_built_again(tmp_path: Path, damage: str) -> None:
    """F-23: it is a cache; nothing of it is needed."""
    log = a_log(tmp_path)
    append(log, 120)
    folder = tmp_path / "seen"
    seen = Seen.open(folder, 6)
    seen.follow(log, "call_id", "rated", "month")
    seen.publish()
    run, index = next(folder.glob("*.run")), folder / "index.json"
    if damage == "shorter":
        run.write_bytes(run.read_bytes()[:-1])
    elif damage == "gone":
        run.unlink()
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:40])
    elif damage == "index gone":
        index.unlink()
    else:
        index.write_text(json.dumps(json.loads(index.read_text()) | {"form": 0}))
    again = Seen.open(folder, 6)
    assert again.next_seq == 0
    again.follow(log, "call_id", "rated", "month")
    again.publish()
    assert found(Seen.open(folder, 6), 0, 121) == [*range(120), -1]


def test_two_that_share_a_folder_take_over_from_each_other(tmp_path: Path) -> None:
    """docs/design.md 3: any number of workers on one machine."""
    log = a_log(tmp_path)
    append(log, 60)
    one, other = Seen.open(tmp_path / "seen", 6), Seen.open(tmp_path / "seen", 6)
    for turn in range(6):
        for seen in (one, other) if turn % 2 else (other, one):
            seen.follow(log, "call_id", "rated", "month")
            assert found(seen, 0, log.next_seq + 1) == [*range(log.next_seq), -1]
            if turn != 2:
                seen.publish()
        append(log, 35)
    third = Seen.open(tmp_path / "seen", 6)
    third.follow(log, "call_id", "rated", "month")
    assert found(third, 0, log.next_seq) == list(range(log.next_seq))
    one.reset()
    other.follow(log, "call_id", "rated", "month")
    other.publish()
    assert found(other, 0, log.next_seq) == list(range(log.next_seq))


def _publish_for_ever(folder: Path) -> None:
    seen = Seen.open(folder)
    while True:
        add(seen, seen.next_seq, 40)
        seen.publish()


def test_kill_9_while_it_publishes_leaves_what_was_published_before(tmp_path: Path) -> None:
    """F-16: the index is whole or built again, never wrong."""
    for _ in range(2):
        writer = SPAWN.Process(target=_publish_for_ever, args=(tmp_path,))
        writer.start()
        before = Seen.open(tmp_path).next_seq
        while Seen.open(tmp_path).next_seq < before + 120:
            time.sleep(0.01)
        writer.kill()
        writer.join()
        seen = Seen.open(tmp_path)
        assert seen.next_seq >= before + 120
        assert found(seen, 0, seen.next_seq + 1) == [*range(seen.next_seq), -1]


def test_a_wider_window_makes_it_begin_anew(tmp_path: Path) -> None:
    """R-INV-6: what a narrower window has dropped is asked for again."""
    seen = Seen.open(tmp_path, 1)
    add(seen, 0, 10, "2025-12")
    add(seen, 10, 10, "2026-03")
    assert seen.forgotten_month is None
    seen.publish()
    assert seen.forgotten_month == "2025-12"
    assert Seen.open(tmp_path, 2).next_seq == 20
    wider = Seen.open(tmp_path, 3)
    assert (wider.next_seq, wider.forgotten_month) == (0, None)
