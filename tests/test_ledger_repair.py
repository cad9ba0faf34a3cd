"""What a power cut leaves at the log's end: mended if nobody was told of it, refused otherwise (F-23)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.entries import checkpoint_path, entry_path
from ledger.log import LedgerFault, Log
from ledger.maintain import maintain
from ledger.proof import verify_chain
from tests.log_rows import again, ids, new_log, some_rows, unacknowledge


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without_txn(path: Path) -> None:
    path.write_bytes(
        b"\n".join(line for line in path.read_bytes().splitlines() if b'"txn":{"appId":"p"' not in line)
    )


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _gone(path: Path) -> None:
    path.unlink()


TORN = [("entry", _empty), ("entry", _halve), ("entry", _without_txn), ("file", _empty), ("file", _halve),
        ("file", _zeros), ("file", _gone)]  # fmt: skip


def _tear(log: Log, what: str, how: object) -> None:
    path = entry_path(log.folder, log.version) if what == "entry" else Path(log.files()[-1])
    how(path)  # type: ignore[operator]


@pytest.mark.parametrize(("what", "how"), TORN)
def test_a_torn_tail_that_nobody_was_told_of_is_set_aside(tmp_path: Path, what: str, how: object) -> None:
    """F-23: the ledger is as before the commit, and goes on."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    log.append(some_rows(4, 3), offsets={"p": 7})
    _tear(log, what, how)
    unacknowledge(log)
    after = again(log)
    assert len(after.repaired) == 1
    assert "set aside" in after.repaired[0]
    assert (after.next_seq, after.offset("p")) == (3, 3)
    after.append(some_rows(4, 3), offsets={"p": 7})
    assert ids(again(after)) == [f"c-{n}" for n in range(7)]
    assert again(after).repaired == []
    assert verify_chain(after) == []


@pytest.mark.parametrize(("what", "how"), [t for t in TORN if t[1] is not _zeros])
def test_what_was_acknowledged_and_is_torn_is_refused_with_instructions(
    tmp_path: Path, what: str, how: object
) -> None:
    """F-23: nothing is repaired that somebody has been told of."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    log.append(some_rows(4, 3), offsets={"p": 7})
    _tear(log, what, how)
    for _ in range(2):
        with pytest.raises(LedgerFault, match="Restore the ledger's folder from a backup"):
            again(log)


def test_an_acknowledged_entry_that_is_gone_is_refused(tmp_path: Path) -> None:
    """F-23: the log ends before what was acknowledged, or has a hole."""
    log = new_log(tmp_path)
    for n in range(3):
        log.append(some_rows(1, n))
    last = entry_path(log.folder, 3).read_bytes()
    entry_path(log.folder, 3).unlink()
    with pytest.raises(LedgerFault, match=r"version 3 was acknowledged"):
        again(log)
    entry_path(log.folder, 3).write_bytes(last)
    entry_path(log.folder, 2).unlink()
    with pytest.raises(LedgerFault, match=r"Log entry 2 .* is missing"):
        again(log)


def test_a_commit_that_was_not_acknowledged_but_is_whole_is_kept(tmp_path: Path) -> None:
    """F-23, F-16: also when the chain's line was written by half."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    whole = log.chain.path.read_bytes()
    log.append(some_rows(4, 3), offsets={"p": 7})
    for left in (whole, log.chain.path.read_bytes()[:-40]):
        log.chain.path.write_bytes(left)
        after = again(log)
        assert (after.next_seq, after.repaired, after.chain_fault) == (7, [], None)
        assert verify_chain(after) == []


def test_a_torn_rewrite_is_undone(tmp_path: Path) -> None:
    """F-23, F-21: maintenance changes no row, so its torn entry can always go."""
    log = new_log(tmp_path)
    log.append(some_rows(3))
    log.append(some_rows(4, 3))
    maintain(log)
    assert len(log.files()) == 1
    checkpoint_path(log.folder, log.version).unlink()
    (log.folder / "_delta_log" / "_last_checkpoint").unlink()
    _halve(entry_path(log.folder, log.version))
    after = again(log)
    assert len(after.repaired) == 1
    assert len(after.files()) == 2
    assert ids(after) == [f"c-{n}" for n in range(7)]


def test_a_torn_checkpoint_is_set_aside(tmp_path: Path) -> None:
    """F-23: the entries before it are still there, because two checkpoints stay."""
    log = new_log(tmp_path)
    for n in range(3):
        log.append(some_rows(1, n), offsets={"p": n})
        maintain(log)
    _empty(checkpoint_path(log.folder, log.version))
    _empty(log.folder / "_delta_log" / "_last_checkpoint")
    after = again(log)
    assert len(after.repaired) == 1
    assert ids(after) == ["c-0", "c-1", "c-2"]
    assert after.offset("p") == 2


def test_a_power_cut_while_creating_is_begun_again(tmp_path: Path) -> None:
    """F-23: an empty first entry."""
    log = new_log(tmp_path)
    _empty(entry_path(log.folder, 0))
    log.chain.path.unlink()
    again_log = new_log(tmp_path)
    again_log.append(some_rows(1))
    assert ids(again_log) == ["c-0"]
