"""Bytes of any switch's call files -> Arrow tables of `rating.records.RECORD`, a chunk at a time.

    format = load_format("auto", first_bytes)
    for chunk in read_chunks(stream, format):
        ...  # chunk.records, the bytes [chunk.start, chunk.end) that they were, and the digest of all up to there

Each record of the file becomes exactly one row: a bad one carries its fault and does not cost its neighbours
(F-09, R-INV-1). What the rows are depends on the file alone, not on how it is cut into chunks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.compute as pc

from streams.chunks import Chunk, Decoder, Reader, merged_chunks, plain_chunks
from streams.csv_record import read_record
from streams.delimited import Delimited
from streams.digests import Digest, digest_at
from streams.json_lines import JsonLines
from streams.json_walk import Wanted, tree_of
from streams.mapping import FormatError, Mapping, contract, read_mapping
from streams.parquet import parquet_chunks

__all__ = ["Chunk", "Digest", "Format", "FormatError", "digest_at", "load_format", "read_chunks"]

Format = Mapping

_SHIPPED = Path(__file__).parent / "formats"
_BY_POSITION = ("freeswitch", "asterisk", "asterisk_custom")
_CONTRACT = ("jsonl", "csv", "parquet")
_DELIMITERS = (b",", b";", b"\t", b"|")
_HOLD_OPEN_S = 60


def load_format(name: str, head: bytes | None = None) -> Format:
    """The format of this name: auto, jsonl, csv, parquet, freeswitch, asterisk, or a MAPPING.toml's path.

    `head`: the file's first bytes, 64 KiB or so. `auto` needs them; `asterisk` tells the two orders of columns
    apart by them. Raises FormatError if there is no such format, the mapping is wrong or nothing fits the head.
    """
    if name == "auto":
        return _recognised(head or b"")
    if name in _CONTRACT:
        mapping = contract(name)
        return _with_delimiter(mapping, head) if name == "csv" and head else mapping
    if name == "asterisk" and head:
        return _best(("asterisk", "asterisk_custom"), head) or _shipped("asterisk")
    if name in _BY_POSITION:
        return _shipped(name)
    if name.endswith(".toml"):
        return read_mapping(Path(name))
    known = ", ".join(("auto", *_CONTRACT, "freeswitch", "asterisk"))
    raise FormatError(
        f'There is no format "{name}"; use {known}, or the path of a mapping that ends in .toml.'
    )


def read_chunks(
    stream: BinaryIO,
    fmt: Format,
    *,
    start: int = 0,
    chunk_bytes: int = 32 << 20,
    complete: bool = True,
    hold_open_s: int = _HOLD_OPEN_S,
    digest: Digest | None = None,
) -> Iterator[Chunk]:
    """The records of a file from offset `start` on, which is 0 or the end of an earlier chunk.

    The stream stands at its begin. It need not be able to seek; then it is read from there. `chunk_bytes` is
    about how many bytes of the file a chunk holds. `complete=False`: the file may still grow; its last line
    without an end is left, and where rows are merged those that may get another one within `hold_open_s` of
    call time. `digest`: a running digest that covers [0, start) already, so that those bytes need not be read
    again; it goes on with the chunks. Raises FormatError if the file is not of the format at all.
    """
    if fmt.kind == "parquet":
        yield from parquet_chunks(stream, fmt, start, chunk_bytes)
        return
    decoder: Decoder = Delimited(fmt) if fmt.kind == "csv" else json_lines(fmt)
    head = b""
    header = 0
    if isinstance(decoder, Delimited):
        head = _first_bytes(stream, fmt.record_max_bytes)
        begun = decoder.begin(head, final=complete)
        if begun is None:
            return
        header = begun
    own = Digest()
    own.update(head[: min(max(header, start), len(head))])
    at = max(header, start)
    tail = head[own.end :]
    if digest is not None and digest.end == start and start and stream.seekable():
        stream.seek(start)
        own, tail = digest, b""
    elif not own.read(stream, at):
        return
    if digest is not None and own is not digest:
        digest.take(own)
        own = digest
    reader = Reader(stream, decoder, fmt, at, own, tail, complete)
    if fmt.merge:
        yield from merged_chunks(reader, start, chunk_bytes, hold_open_s)
    else:
        yield from plain_chunks(reader, start, chunk_bytes)


def json_lines(fmt: Format) -> JsonLines:
    """What reads this format's JSON, a block of lines at a time."""
    return JsonLines(_wanted(fmt), fmt.record_max_bytes)


def _first_bytes(stream: BinaryIO, limit: int) -> bytes:
    """The stream's bytes up to the end of its first line, and what was read with them."""
    head = b""
    while len(head) <= limit and b"\n" not in head.lstrip(b"\xef\xbb\xbf\r\n"):
        data = stream.read(64 << 10)
        if not data:
            break
        head += data
    return head


def _wanted(fmt: Format) -> Wanted:
    """The places of JSON objects that a mapping reads; a name that begins with / is a JSON pointer."""
    paths = {}
    for name in fmt.fields():
        if fmt.strict:
            path: tuple[str, ...] = (name,)
        elif name.startswith("/"):
            path = tuple(step.replace("~1", "/").replace("~0", "~") for step in name[1:].split("/"))
        else:
            path = tuple(name.split("."))
        paths[path] = name
    known = frozenset(path[0] for path, name in paths.items() if len(path) == 1 and name in fmt.mapped)
    whole = frozenset(("duration_s",)) if fmt.strict else frozenset[str]()
    return Wanted(tree_of(paths), known, whole, fmt.soft, fmt.strict)


def _recognised(head: bytes) -> Format:
    """The format that a file's first bytes look like."""
    for magic, what in _NOT_READ.items():
        if head.startswith(magic):
            raise FormatError(what)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if head.startswith(b"PAR1"):
        return contract("parquet")
    if not text or text.startswith(b"{"):
        return contract("jsonl")
    if text.startswith(b"["):
        raise FormatError("The file is one JSON array; write one object on each line (JSON Lines).")
    found = _with_delimiter(contract("csv"), head)
    if _names_of(head, found) >= {"call_id", "start_at"}:
        return found
    best = _best(_BY_POSITION, head)
    if best is None:
        raise FormatError(
            "The file's format cannot be told from its first rows; name it with --format, or write a mapping."
        )
    return best


def _with_delimiter(mapping: Mapping, head: bytes) -> Mapping:
    """The mapping with the delimiter that the header uses."""
    for delimiter in _DELIMITERS:
        found = replace(mapping, layout=replace(mapping.layout, delimiter=delimiter))
        if _names_of(head, found) >= {"call_id", "start_at"}:
            return found
    return mapping


def _names_of(head: bytes, mapping: Mapping) -> set[str]:
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").partition(b"\n")[0]
    record = read_record(line, 0, mapping.layout, len(line), lambda _: True, final=True)
    return {cell.decode("utf-8", "replace").lower() for cell in record.cells} if record else set()


def _best(names: tuple[str, ...], head: bytes) -> Format | None:
    """The shipped format that reads the most rows of the head without a fault; None if none reads any."""
    whole = head[: head.rfind(b"\n") + 1] or head
    best, most = None, 0
    for name in names:
        candidate = _shipped(name)
        good = sum(
            _good(chunk.records) for chunk in read_chunks(io.BytesIO(whole), replace(candidate, merge=False))
        )
        if good > most:
            best, most = candidate, good
    return best


def _good(records: Any) -> int:
    good: int = pc.sum(pc.is_null(records["fault"])).as_py() or 0
    return good


def _shipped(name: str) -> Format:
    return read_mapping(_SHIPPED / f"{name}.toml")


_NOT_READ = {
    b"\xff\xfe": "The file is UTF-16; save it as UTF-8.",
    b"\xfe\xff": "The file is UTF-16; save it as UTF-8.",
    b"\x1f\x8b": "The file is compressed; unpack it first.",
    b"PK\x03\x04": "The file is a ZIP archive or a spreadsheet; unpack it, or save it as CSV.",
}
