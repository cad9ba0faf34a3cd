"""Files into the ledger: call records and commands, exactly once, whatever is killed when.

A file's records and how far it was read are one commit (`streams.files`), so a run that was killed goes on at
the very byte, and naming a file twice adds nothing twice. The next chunk is decoded while the last is committed.
"""

from __future__ import annotations

import sys
import time
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ledger.charge import charge
from ledger.home import Home
from ledger.submit import Answer, Line, submit
from streams import files
from streams.decode import Chunk, FormatError, load_format, read_chunks
from streams.digests import Digest
from streams.watching import CannotRead, Watch, call_files

STDIN = "stdin"
HEAD_BYTES = 64 << 10
COMMANDS_A_COMMIT = 10_000

Clock = Callable[[], datetime]
Progress = Callable[[int, int, int], None]
"""(bytes read, bytes in all, records): called after each commit."""


def no_progress(_done: int, _size: int, _records: int) -> None:
    """For callers without a terminal."""


def no_sentence(_sentence: str) -> None:
    """For callers who look at `Taken.unread` afterwards."""


@dataclass
class Taken:
    """What one run took in: files, and rows by outcome and reason."""

    files: int = 0
    known_files: int = 0
    unread: list[str] = field(default_factory=list)
    """a sentence for each file that could not be read at all"""
    counts: Counter[str] = field(default_factory=Counter)

    def could_not_read(self, path: Path, fault: Exception, heard: Callable[[str], None]) -> None:
        """Notes it and says so."""
        sentence = str(fault) if isinstance(fault, CannotRead) else f"{path}: {fault}"
        self.unread.append(sentence)
        heard(sentence)

    @property
    def records(self) -> int:
        return sum(self.counts[outcome] for outcome in ("rated", "duplicate", "rejected"))


def ingest(
    home: Home, path: Path, format_name: str, clock: Clock, progress: Progress = no_progress,
    heard: Callable[[str], None] = no_sentence,
) -> Taken:  # fmt: skip
    """Takes in a file, or every file of a folder, to its end; `heard` gets a sentence for each it could not read."""
    taken = Taken()
    _check_format(format_name)
    for one in call_files(path):
        try:
            _ingest_file(home, one, format_name, clock, taken, progress, complete=True)
        except (FormatError, CannotRead) as fault:
            if one == path:
                raise
            taken.could_not_read(one, fault, heard)  # the folder's other files are read all the same
    return taken


def _check_format(format_name: str) -> None:
    """FormatError for a format that fits no file at all."""
    if format_name != "auto":
        load_format(format_name)


def ingest_stdin(home: Home, format_name: str, clock: Clock, progress: Progress = no_progress) -> Taken:
    """Takes in standard input; it has no identity, so sending it twice is met by the calls' own ids."""
    taken = Taken(files=1)
    stream = sys.stdin.buffer
    head = stream.peek(HEAD_BYTES) if hasattr(stream, "peek") else b""
    fmt = load_format(format_name, head)
    for chunk in _ahead(read_chunks(stream, fmt)):
        if chunk.records.num_rows:
            taken.counts += charge(home, chunk.records, STDIN, clock(), {})
        progress(chunk.end, 0, taken.records)
    return taken


def _ingest_file(
    home: Home,
    path: Path,
    format_name: str,
    clock: Clock,
    taken: Taken,
    progress: Progress,
    *,
    complete: bool,
    places: files.Places | None = None,
) -> int:
    """Returns the offset that was reached; `places` remembers it for the next look at a file that grows."""
    try:
        size = path.stat().st_size
        stream = path.open("rb")
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}.") from None
    if not size:
        stream.close()
        return 0
    with stream:
        fmt = load_format(format_name, stream.read(HEAD_BYTES))
        whole = fmt.kind == "parquet"
        known = None if complete or whole or places is None else places.known(home.calls, path, stream, size)
        place = known or files.find(home.calls, stream, size, whole=whole)
        file_id, end, before = place.file_id, place.offset, taken.records
        digest = None if whole else place.digest
        for chunk in _ahead(read_chunks(stream, fmt, start=place.offset, complete=complete, digest=digest)):
            end = chunk.end
            if not chunk.records.num_rows:
                continue
            at = files.offsets(file_id, chunk.end, chunk.digest)
            file_id = file_id or chunk.digest
            taken.counts += charge(home, chunk.records, path.name, clock(), at)
            progress(chunk.end, size, taken.records)
        if places is not None and digest is not None:
            places.keep(path, stream, files.Place(file_id, end, digest))
    taken.files += 1
    taken.known_files += taken.records == before and place.file_id is not None
    return end


def _ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks, the next one read by a second thread while the caller works on the last."""
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


def follow(
    home: Home, path: Path, format_name: str, clock: Clock, stop: Callable[[], bool],
    progress: Progress = no_progress, heard: Callable[[str], None] = no_sentence, poll_s: float = 0.2,
) -> Taken:  # fmt: skip
    """Takes in what appears in a folder, or is appended to a file, until `stop` says so.

    A growing file is read up to its last whole line; once it has stood still for OPEN_S seconds, what is left
    of it is taken too. `heard` gets a sentence for each file that could not be read by then.
    """
    taken, places = Taken(), files.Places()
    _check_format(format_name)
    watch = Watch(path)
    while not stop():
        home.see()
        for one, complete in watch.changed():
            try:
                _ingest_file(home, one, format_name, clock, taken, progress, complete=complete, places=places)
            except (FormatError, CannotRead) as fault:
                if complete:  # the first rows of a file that grows may tell too little
                    taken.could_not_read(one, fault, heard)
        if not stop():
            time.sleep(poll_s)
    return taken


def submit_file(home: Home, path: Path, clock: Clock, heard: Callable[[Answer], None]) -> int:
    """Sends a file's lines as commands; lines that an earlier run has sent are not sent again.

    `heard` gets each answer. Returns the number of lines sent now.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}.") from None
    with stream:
        place = files.find(home.events, stream, path.stat().st_size)
        stream.seek(place.offset)
        return _submit_lines(home, stream, path.name, place, clock, heard)


def submit_stdin(home: Home, clock: Clock, heard: Callable[[Answer], None]) -> int:
    """Sends standard input's lines as commands; a repeat is met by the commands' own ids."""
    return _submit_lines(home, sys.stdin.buffer, STDIN, files.Place(None, 0, Digest()), clock, heard)


@dataclass
class _Cursor:
    """Where in a file of commands we are, and the digest of everything before."""

    file_id: str | None
    pos: int
    digest: Digest
    lines: list[Line] = field(default_factory=list)
    blob: bytes = b""

    def read(self, stream: BinaryIO) -> bool:
        """The next lines; False at the end. Blank lines are passed over."""
        self.pos += len(self.blob)
        self.digest.update(self.blob)
        raw_lines = [line for line in (stream.readline() for _ in range(COMMANDS_A_COMMIT)) if line]
        self.blob, self.lines, at = b"".join(raw_lines), [], self.pos
        for raw in raw_lines:
            text = raw.removeprefix(BOM_UTF8) if at == 0 else raw
            if text.strip():
                self.lines.append(Line(text.rstrip(b"\r\n"), at, at + len(raw)))
            at += len(raw)
        return bool(raw_lines)

    def offsets(self, line: Line) -> Mapping[str, int]:
        """What is committed with the rows up to this line."""
        digest = self.digest.copy()
        digest.update(self.blob[: line.end - self.pos])
        self.file_id = self.file_id or digest.hex()
        return files.offsets(self.file_id, line.end, digest.hex())


def _submit_lines(
    home: Home, stream: BinaryIO, name: str, place: files.Place, clock: Clock, heard: Callable[[Answer], None]
) -> int:
    cursor, sent = _Cursor(place.file_id, place.offset, place.digest), 0
    while cursor.read(stream):
        offsets = cursor.offsets if name != STDIN else _no_offsets
        for answer in submit(home, cursor.lines, name, clock(), offsets):
            heard(answer)
            sent += 1
    return sent


def _no_offsets(_: Line) -> Mapping[str, int]:
    return {}
