"""Which ids were charged already: sorted 64-bit hashes on disk, with the seq of the row that was charged.

A cache of the ledger (docs/design.md, decision 4): it can be deleted at any time, and is dropped and built again when it
is torn or does not fit the ledger. `follow` catches up with the log, `lookup` gives *candidates*; whether the
row really has this id is for the caller to confirm, and if it has not, `candidates` names the others of the same
hash.

Entries lie in runs, files of sorted hashes, their seq, and a filter that answers for nearly all ids that are new
(`ledger.seen_runs`). Runs hold one month each, so that months beyond the
window drop as a whole, and `forgotten_month` says up to which; equally large runs of a month are merged, so that there are few. What was added last is in
memory until `publish`. Several processes may share a folder: who publishes takes over what others published.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.files import fsync_path
from ledger.seen_runs import (
    MAX_RUN,
    Run,
    TornRun,
    first_in_batch,
    hash_ids,
    marks_of,
    match,
    merge_runs,
    note,
    write_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from ledger.log import Log

    Hashes = npt.NDArray[np.uint64]
    Seqs = npt.NDArray[np.int64]
    Tail = tuple[Hashes, Seqs, npt.NDArray[np.int32]]

__all__ = ["Seen", "first_in_batch"]

_FORM = 4
_TAIL = 500_000  # entries in memory, sorted after each batch
_HEAP = 2_000_000  # and unsorted, while nobody asks: then they are sorted once
_WORTH_KEEPING = 50_000  # rows read from the ledger that the next `open` should not read again
_NO_MONTH = -1
_NOTHING = (np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int32))


class Seen:
    """The ids of one table that were charged."""

    next_seq: int
    """All rows below this seq have been looked at."""
    _head: str | None  # the chain's head at next_seq
    _proven: bool  # that the ledger had this head
    _seed: int
    _generation: str  # of the index on disk that is in hand
    _dropped: int  # the latest month whose runs were dropped, or -1
    _runs: list[Run]  # each month's from the oldest to the newest
    _published: set[str]  # names of the runs that the index on disk names
    _spilled: bool  # there are runs that it does not name
    _tails: list[Tail]  # what was added last, each by hash, from the oldest and largest to the newest
    _heap: list[Tail]  # what was added since, as it came

    def __init__(self, folder: Path, window_months: int | None) -> None:
        """Not for callers: use `open`."""
        self.folder, self.window_months = folder, window_months
        self._empty(secrets.randbits(64))

    @classmethod
    def open(cls, folder: Path, window_months: int | None = None) -> Seen:
        """The index in `folder`, empty if there is none, if it is torn or if it has forgotten what is asked for.

        Months more than `window_months` before the newest one are dropped; None keeps all, as does adding
        without months. With a wider window than the one that it was built with it begins anew, and `follow` reads
        the older months from the ledger again.
        """
        folder.mkdir(parents=True, exist_ok=True)
        seen = cls(folder, window_months)
        with seen._locked():
            try:
                seen._take_over(seen._read_index())
                if seen._is_too_narrow():
                    seen._wipe()
            except (TornRun, ValueError, KeyError, TypeError):
                seen._wipe()
        return seen

    def __len__(self) -> int:
        return sum(run.count for run in self._runs) + sum(len(tail[0]) for tail in self._settled())

    @property
    def forgotten_month(self) -> str | None:
        """Ids of this month and of earlier ones may be missing here; None if nothing was dropped."""
        if self._dropped == _NO_MONTH:
            return None
        year, month = divmod(self._dropped - 1, 12)
        return f"{year:04}-{month + 1:02}"

    # -- asking

    def hashes(self, ids: pa.Array | pa.ChunkedArray) -> Hashes:
        """The ids' hashes in this index, uint64; ids must not be null."""
        return hash_ids(ids, self._seed)

    def lookup(self, ids: pa.Array | pa.ChunkedArray | Hashes) -> Seqs:
        """For each id (or its hash) the seq of the row that was charged for it, else -1; to be confirmed."""
        hashes = ids if isinstance(ids, np.ndarray) else self.hashes(ids)
        found = np.full(len(hashes), -1, dtype=np.int64)
        order = np.argsort(hashes)  # sorted needles walk through a run instead of jumping
        needles = hashes[order]
        marks = marks_of(needles)
        for run in self._runs:
            run.search(needles, marks, found)
        for hashes, seqs, _ in self._settled():
            note(found, np.arange(len(needles)), *match(hashes, seqs, needles))
        result = np.empty_like(found)
        result[order] = found
        return result

    def candidates(self, an_id: str) -> list[int]:
        """Every seq whose id has the same hash as this one, ascending: for the day two ids share one."""
        needle = self.hashes(pa.array([an_id]))[0]
        seqs: set[int] = set()
        for hashes, of in [(r.hashes, r.seqs) for r in self._runs] + [tail[:2] for tail in self._settled()]:
            first, last = np.searchsorted(hashes, needle, "left"), np.searchsorted(hashes, needle, "right")
            seqs.update(of[first:last].tolist())
        return sorted(seqs)

    # -- adding

    def add(
        self,
        ids: pa.Array | pa.ChunkedArray | Hashes,
        seqs: pa.Array | pa.ChunkedArray | Seqs,
        months: pa.Array | pa.ChunkedArray | None = None,
        *,
        next_seq: int | None = None,
        head: str | None = None,
    ) -> None:
        """Adds charged ids (or their hashes) with the seq of their rows and their months ("2026-11").

        `next_seq` tells up to where rows have been looked at, default is the row after the last one added;
        `head` is the log's there, for a caller that adds what it has just committed instead of reading it again.
        """
        last = self._put(ids, seqs, months)
        self.next_seq = max(self.next_seq, last + 1 if next_seq is None else next_seq)
        if head is not None:
            self._head = head
            if self._spilled:
                self.publish()

    def follow(
        self,
        log: Log,
        id_column: str,
        outcome: str,
        month_column: str | None = None,
        only_with: str | None = None,
    ) -> None:
        """Catches up with a table: the ids of its rows with this outcome, if `only_with` has a value there.

        An index that was built from another ledger, or from commits that a power cut has undone since, is
        dropped and built again.
        """
        if not self._proven and self._head is not None and not log.had_head(self.next_seq, self._head):
            self.reset()
        self._proven = True
        columns = ["seq", "outcome", id_column, *(name for name in (month_column, only_with) if name)]
        while self.next_seq < log.next_seq:
            to_read = sum(file.rows for file in log.live_files() if file.seq_max >= self.next_seq)
            for rows in log.read_batches_since(self.next_seq, columns, ordered=False):
                charged = rows.filter(pc.equal(rows.column("outcome"), outcome))
                if only_with:
                    charged = charged.filter(pc.is_valid(charged.column(only_with)))
                months = charged.column(month_column) if month_column else None
                self._put(charged.column(id_column), charged.column("seq"), months)
            self.next_seq, self._head = log.next_seq, log.head
            if self._spilled or to_read > _WORTH_KEEPING:
                self.publish()

    def publish(self) -> None:
        """Writes what is in memory to disk, so that the next `open` need not read it from the ledger again.

        What another process has published meanwhile is taken over.
        """
        with self._locked():
            index = self._read_index()
            if index["generation"] != self._generation:
                mine = [run for run in self._runs if run.name not in self._published]
                if index["next_seq"] >= self.next_seq:
                    for run in mine:
                        (self.folder / run.name).unlink(missing_ok=True)
                    self._take_over(index)
                    self._proven = True
                    return
                if (
                    index["seed"] != self._seed
                ):  # begun anew by somebody: ours is further, but cannot be joined to it
                    return
                hashes, seqs, codes = self._whole_tail()
                late = seqs >= index["next_seq"]
                keep, head, tail = self.next_seq, self._head, (hashes[late], seqs[late], codes[late])
                self._take_over(index)
                self._runs += mine
                self.next_seq, self._head, self._tails, self._proven = keep, head, [tail], True
            self._spill()
            self._drop_old_months()
            self._write_index()

    def reset(self) -> None:
        """Forgets everything, in memory and on disk."""
        with self._locked():
            self._wipe()

    # -- inside

    def _empty(self, seed: int) -> None:
        self.next_seq = 0
        self._head = None
        self._proven = False
        self._seed, self._generation, self._spilled = seed, "", False
        self._runs, self._dropped = [], _NO_MONTH
        self._published = set()
        self._tails, self._heap = [], []

    def _put(self, ids: Any, seqs: Any, months: Any) -> int:
        """Adds entries without moving next_seq, for rows may come in any order; gives the greatest seq."""
        hashes = ids if isinstance(ids, np.ndarray) else self.hashes(ids)
        if not len(hashes):
            return -1
        numbers = seqs if isinstance(seqs, np.ndarray) else seqs.to_numpy()
        codes = (
            _month_codes(months) if months is not None else np.full(len(hashes), _NO_MONTH, dtype=np.int32)
        )
        self._heap.append((hashes, numbers, codes))
        in_tails, in_heap = (sum(len(part[0]) for part in parts) for parts in (self._tails, self._heap))
        if in_tails >= _TAIL or in_heap >= _HEAP:
            self._spill()
        return int(numbers.max())

    def _settled(self) -> list[Tail]:
        """The tails with all that was added, each by hash; equal hashes in the order in which they came.

        Each is more than twice as large as the next, so that to add a little costs little, however much is there.
        """
        if self._heap:
            fresh = _by_hash(_joined(self._heap), "quicksort")  # four times as quick as a stable sort
            if (fresh[0][1:] == fresh[0][:-1]).any():
                fresh = _by_hash(_joined(self._heap), "stable")
            while self._tails and len(self._tails[-1][0]) <= 2 * len(fresh[0]):
                fresh = _merged_tails([self._tails.pop(), fresh])
            self._tails.append(fresh)
            self._heap = []
        return self._tails

    def _whole_tail(self) -> Tail:
        return _merged_tails(self._settled())

    def _spill(self) -> None:
        """The tail becomes a run for each of its months; runs that are about equally large become one."""
        hashes, seqs, codes = self._whole_tail()
        if len(codes):
            one = int(codes[0])
            months = [one] if (codes == one).all() else np.unique(codes).tolist()
            for code in months:
                rows = slice(None) if len(months) == 1 else codes == code
                part = (hashes[rows], seqs[rows])
                self._runs.append(write_run(self.folder, code, iter([part]), len(part[0])))
                self._merge(code)
            self._spilled = True
        self._tails = []

    def _merge(self, month: int) -> None:
        """Keeps a month's runs each more than twice as large as the next, so that n entries make log n runs."""
        runs = [run for run in self._runs if run.month == month]
        together, total = 1, runs[-1].count
        for run in reversed(runs[:-1]):
            if run.count > 2 * total or run.count + total > MAX_RUN:
                break
            together, total = together + 1, total + run.count
        if together > 1:
            old = runs[-together:]
            new = merge_runs(self.folder, old)
            self._forget(old)
            self._runs.append(new)

    def _forget(self, runs: list[Run]) -> None:
        names = {run.name for run in runs}
        self._runs = [run for run in self._runs if run.name not in names]
        for name in names - self._published:  # a published one goes when the index no longer names it
            (self.folder / name).unlink(missing_ok=True)

    def _drop_old_months(self) -> None:
        if self.window_months is None or not self._runs:
            return
        last = max(run.month for run in self._runs) - self.window_months - 1
        old = [run for run in self._runs if _NO_MONTH < run.month <= last]
        self._dropped = max([self._dropped, *(run.month for run in old)])
        self._forget(old)

    def _is_too_narrow(self) -> bool:
        """Whether months were dropped that this window asks for."""
        newest = max((run.month for run in self._runs), default=_NO_MONTH)
        wanted = _NO_MONTH if self.window_months is None else newest - self.window_months - 1
        return self._dropped > wanted

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_index(self) -> dict[str, Any]:
        try:
            index: dict[str, Any] = json.loads((self.folder / "index.json").read_bytes())
        except FileNotFoundError:
            return {
                "form": _FORM,
                "generation": "",
                "seed": self._seed,
                "next_seq": 0,
                "head": None,
                "dropped": _NO_MONTH,
                "runs": [],
            }
        if index["form"] != _FORM:
            raise TornRun("another version's index")
        return index

    def _take_over(self, index: dict[str, Any]) -> None:
        """What is on disk becomes what is in hand."""
        runs = [Run.open(self.folder, r["name"], r["month"], r["count"]) for r in index["runs"]]
        self._empty(int(index["seed"]))
        self.next_seq, self._head, self._dropped = (
            int(index["next_seq"]),
            index["head"],
            int(index["dropped"]),
        )
        self._generation, self._runs, self._published = index["generation"], runs, {run.name for run in runs}

    def _write_index(self) -> None:
        self._generation = secrets.token_hex(8)
        index = {
            "form": _FORM,
            "generation": self._generation,
            "seed": self._seed,
            "next_seq": self.next_seq,
            "head": self._head,
            "dropped": self._dropped,
            "runs": [{"name": r.name, "month": r.month, "count": r.count} for r in self._runs],
        }
        new = self.folder / "index.new"
        with new.open("w") as file:
            json.dump(index, file)
            file.flush()
            os.fsync(file.fileno())
        fsync_path(self.folder)  # the runs' names, before the index that names them
        new.replace(self.folder / "index.json")
        fsync_path(self.folder)
        names = {run.name for run in self._runs}
        for name in self._published - names:
            (self.folder / name).unlink(missing_ok=True)
        self._published, self._spilled = names, False

    def _wipe(self) -> None:
        for path in self.folder.iterdir():
            if path.suffix in {".run", ".json", ".new"}:
                path.unlink(missing_ok=True)
        self._empty(secrets.randbits(64))
        self._write_index()


def _by_hash(part: Tail, kind: Literal["quicksort", "stable"]) -> Tail:
    order = np.argsort(part[0], kind=kind)
    return part[0][order], part[1][order], part[2][order]


def _merged_tails(tails: list[Tail]) -> Tail:
    """One, from the oldest to the newest: sorted pieces, which a stable sort only merges."""
    return _by_hash(_joined([_NOTHING, *tails]), "stable")


def _joined(parts: list[Tail]) -> Tail:
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def _month_codes(months: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Months as text to year × 12 + month; null to -1."""
    column = months.combine_chunks() if isinstance(months, pa.ChunkedArray) else months
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = [int(m[:4]) * 12 + int(m[5:7]) for m in column.dictionary.to_pylist()]
    places = column.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    result: npt.NDArray[np.int32] = np.array([*codes, _NO_MONTH], dtype=np.int32)[places]
    return result
