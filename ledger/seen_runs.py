"""Runs of the duplicate index: files of sorted hashes, and the arithmetic on them.

A run's file: a filter, then the hashes (uint64, ascending), then their seq (int64, equal hashes by seq). The
filter is 64-bit words that the hashes' top bits choose and of which each hash sets three bits, its marks; of ids
that are new it lets one in some hundred through. All is memory-mapped; of hashes and seq only the pages that a
look-up touches are read, and let go again.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Hashes = npt.NDArray[np.uint64]
Seqs = npt.NDArray[np.int64]

MAX_RUN = 16_000_000
"""Entries of the largest run that a merge makes: bounds how long one merge takes."""
_CHUNK = 1_000_000
_BITS_PER_ENTRY = 16  # of the filter, at least; twice as many at most
_LARGE = 1_000_000
_TOUCHED = 300
_LONG_ID = 128
_A, _B = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


class TornRun(Exception):
    """A run's file is missing or not as long as it should be."""


@dataclass(frozen=True)
class Run:
    """One run, mapped into memory. `month` is year × 12 + month, or -1 when ids have no month."""

    name: str
    month: int
    count: int
    data: mmap.mmap
    words: Hashes
    hashes: Hashes
    seqs: Seqs

    @classmethod
    def open(cls, folder: Path, name: str, month: int, count: int) -> Run:
        """Maps a run's file. Raises TornRun if it is not whole."""
        path = folder / name
        filter_bytes = 8 * _words(count)
        size = filter_bytes + 16 * count
        if not path.is_file() or path.stat().st_size != size:
            raise TornRun(f"{path.name} is not {size} bytes long")
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        words = np.frombuffer(data, np.uint64, _words(count))
        hashes = np.frombuffer(data, np.uint64, count, filter_bytes)
        return cls(
            name, month, count, data, words, hashes, np.frombuffer(data, np.int64, count, size - 8 * count)
        )

    def search(self, needles: Hashes, marks: Hashes, found: Seqs) -> None:
        """Notes in `found` the seq of each of the ascending `needles` that is in this run."""
        maybe = np.flatnonzero(self.words[_word_of(needles, self.count)] & marks == marks)
        if len(maybe):
            note(found, maybe, *match(self.hashes, self.seqs, needles[maybe]))
            if self.count > _LARGE and len(maybe) > _TOUCHED:
                # each touched a page, and its neighbours came along: they stay cached, but are not ours to hold
                start = -(-8 * len(self.words) // mmap.PAGESIZE) * mmap.PAGESIZE
                self.data.madvise(mmap.MADV_DONTNEED, start, len(self.data) - start)


def marks_of(hashes: Hashes) -> Hashes:
    """The three bits that each hash sets in its word of a run's filter."""
    one, six, low = np.uint64(1), np.uint64(6), np.uint64(63)
    shifted = hashes >> six
    marks = one << (hashes & low)
    marks |= one << (shifted & low)
    marks |= one << (shifted >> six & low)
    return marks


def match(hashes: Hashes, seqs: Seqs, needles: Hashes) -> tuple[npt.NDArray[np.bool_], Seqs]:
    """Which needles are among the ascending `hashes`, and the first seq of each."""
    at = np.searchsorted(hashes, needles)
    at[at == len(hashes)] = 0
    return hashes[at] == needles, seqs[at]


def note(found: Seqs, places: Seqs, hit: npt.NDArray[np.bool_], seqs: Seqs) -> None:
    """Puts the seq of the hits into `found` at their places; the lowest of several."""
    places, seqs = places[hit], seqs[hit]
    before = found[places]
    found[places] = np.where(before < 0, seqs, np.minimum(before, seqs))


def write_run(folder: Path, month: int, parts: Iterator[tuple[Hashes, Seqs]], count: int) -> Run:
    """Writes a run from parts in ascending order, `count` entries together, onto the disk."""
    name = f"{uuid.uuid4().hex}.run"
    path = folder / name
    words = np.zeros(_words(count), dtype=np.uint64)
    entries, done = 8 * len(words), 0
    try:
        with path.open("wb") as file:
            for hashes, seqs in parts:
                if not len(hashes):
                    continue
                _pwrite(file.fileno(), hashes, entries + 8 * done)
                _pwrite(file.fileno(), seqs, entries + 8 * count + 8 * done)
                places = _word_of(hashes, count)
                starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
                words[places[starts]] |= np.bitwise_or.reduceat(marks_of(hashes), starts)
                done += len(hashes)
            _pwrite(file.fileno(), words, 0)
            os.fsync(file.fileno())
        return Run.open(folder, name, month, count)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def merge_runs(folder: Path, runs: list[Run]) -> Run:
    """One run with the entries of several (older ones first) of the same month, in bounded memory."""
    return write_run(folder, runs[0].month, _merged(runs), sum(run.count for run in runs))


def _merged(runs: list[Run]) -> Iterator[tuple[Hashes, Seqs]]:
    largest = max(runs, key=lambda run: run.count)
    borders = [run.hashes.searchsorted(largest.hashes[_CHUNK::_CHUNK]) for run in runs]
    starts = [0] * len(runs)
    for chunk in range(len(borders[0]) + 1):
        stops = [int(b[chunk]) if chunk < len(b) else run.count for b, run in zip(borders, runs, strict=True)]
        spans = [slice(a, b) for a, b in zip(starts, stops, strict=True)]
        hashes = np.concatenate([run.hashes[span] for run, span in zip(runs, spans, strict=True)])
        seqs = np.concatenate([run.seqs[span] for run, span in zip(runs, spans, strict=True)])
        order = np.argsort(hashes, kind="stable")  # a merge, for the pieces are sorted
        yield hashes[order], seqs[order]
        starts = stops


def _words(count: int) -> int:
    return 1 << max(1, (count * _BITS_PER_ENTRY // 64).bit_length())


def _word_of(hashes: Hashes, count: int) -> Seqs:
    top = 64 - _words(count).bit_length() + 1
    return (hashes >> np.uint64(top)).view(np.int64)


def _pwrite(handle: int, values: npt.NDArray[Any], at: int) -> None:
    data = np.ascontiguousarray(values).view(np.uint8).data
    while data.nbytes:
        wrote = os.pwrite(handle, data, at)
        data, at = data[wrote:], at + wrote


def hash_ids(ids: pa.Array | pa.ChunkedArray, seed: int) -> Hashes:
    """Texts to 64-bit hashes, 40 ns each where all are equally long, else 130.

    Eight bytes at a time through MurmurHash3's finaliser, from the length and a seed that is secret to the index,
    so that nobody can make up ids that collide. The same on every machine and version. Raises ValueError on null.
    """
    column = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        raise ValueError("an id must not be null")
    count = len(column)
    if not count:
        return np.empty(0, dtype=np.uint64)
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + count + 1]
    data = np.frombuffer(column.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    lengths = np.diff(offsets)
    if int(lengths.max()) > _LONG_ID:
        return _hash_long(column, lengths, seed)
    return _hash_short(data, lengths, seed)


def _hash_short(data: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int32], seed: int) -> Hashes:
    longest = int(lengths.max())
    padded = np.zeros((len(lengths), -(-longest // 8) * 8), dtype=np.uint8)
    if int(lengths.min()) == longest:
        padded[:, :longest] = data.reshape(len(lengths), longest)
    else:
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = data
    hashes = lengths.astype(np.uint64) ^ np.uint64(seed)
    _mix(hashes)
    words = padded.view("<u8")
    # every id takes as many rounds as its own length asks for, so that its hash does not depend on its company
    for place in range(words.shape[1]):
        if int(lengths.min()) > 8 * place:
            hashes ^= words[:, place]
            _mix(hashes)
        else:
            more = np.flatnonzero(lengths > 8 * place)
            some = hashes[more] ^ words[more, place]
            _mix(some)
            hashes[more] = some
    return hashes


def _hash_long(column: pa.Array, lengths: npt.NDArray[np.int32], seed: int) -> Hashes:
    """Ids so long that padding all of them would cost too much memory: those one by one, the others together."""
    hashes = np.empty(len(column), dtype=np.uint64)
    long = lengths > _LONG_ID
    short = np.flatnonzero(~long)
    hashes[short] = hash_ids(column.take(pa.array(short)), seed)
    key = seed.to_bytes(8, "little")
    for place in np.flatnonzero(long):
        text = column[int(place)].as_py().encode()
        hashes[place] = int.from_bytes(hashlib.blake2b(text, digest_size=8, key=key).digest(), "little")
    return hashes


def _mix(hashes: Hashes) -> None:
    hashes ^= hashes >> np.uint64(33)
    hashes *= _A
    hashes ^= hashes >> np.uint64(29)
    hashes *= _B
    hashes ^= hashes >> np.uint64(32)


def first_in_batch(hashes: Hashes) -> Seqs:
    """For each row of a batch the first row that has the same hash: itself, unless an earlier one is alike."""
    count = len(hashes)
    rows = np.arange(count)
    if count < 2:
        return rows
    order = np.argsort(hashes, kind="quicksort")
    ordered = hashes[order]
    new = np.r_[True, ordered[1:] != ordered[:-1]]
    if new.all():
        return rows
    starts = np.flatnonzero(new)
    first = np.minimum.reduceat(order, starts)
    rows[order] = first[np.cumsum(new) - 1]
    return rows
