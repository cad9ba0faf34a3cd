"""Call files of any format and size: recognised, cut into chunks, known by their content, in little memory."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.decode import Digest, FormatError, digest_at, load_format, read_chunks

JSONL = load_format("jsonl")
CALL = {
    "call_id": "c",
    "service_number": "4001170392",
    "start_at": "2026-11-03T10:15:00+08:00",
    "end_at": "2026-11-03T10:16:00+08:00",
}


def a_line(call_id: str, **more: Any) -> bytes:
    return json.dumps(CALL | {"call_id": call_id} | more).encode() + b"\n"


def rows(data: bytes, **options: Any) -> list[dict[str, Any]]:
    return [
        row for chunk in read_chunks(io.BytesIO(data), JSONL, **options) for row in chunk.records.to_pylist()
    ]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "jsonl"),
        (b" \r\n\n", "jsonl"),
        (b"\xef\xbb\xbf" + a_line("c"), "jsonl"),
        (b"PAR1\x15\x04", "parquet"),
        (b"caller_area,call_id,start_at\n", "csv"),
        (b'\xef\xbb\xbf"Call_ID";"start_at"\r\n', "csv"),
    ],
)
def test_a_format_is_recognised_by_the_first_bytes(head: bytes, name: str) -> None:
    """CONTRACT, ingest --format auto."""
    assert load_format("auto", head).name == name


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"[\n{", "one object on each line"),
        ("call_id,start_at\n".encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "unpack it first"),
        (b"PK\x03\x04", "save it as CSV"),
        (b"some,other,file\n1,2,3\n", "name it with --format"),
        (b"\x00\x01\x02", "name it with --format"),
    ],
)
def test_what_is_not_recognised_is_refused_with_what_to_do(head: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        load_format("auto", head)


lines_made = st.lists(
    st.sampled_from(
        [
            a_line("a"),
            a_line("b", x="y" * 50),
            b"\n",
            b"\r\n",
            b"{}\n",
            b"no\n",
            b"z" * 400 + b"\n",
            a_line("d", q='"\\'),
        ]
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(lines_made, st.integers(20, 600), st.booleans(), st.sampled_from([300, 1 << 20]))
def test_records_do_not_depend_on_how_the_file_is_cut(
    lines: list[bytes], chunk_bytes: int, ended: bool, limit: int
) -> None:
    """R-INV-5: any size of chunk and any resumption at a chunk's end give the same records and digests."""
    data = b"".join(lines) if ended else b"".join(lines)[:-1]
    fmt = replace(JSONL, record_max_bytes=limit)
    whole = [row for chunk in read_chunks(io.BytesIO(data), fmt) for row in chunk.records.to_pylist()]
    found, start = [], 0
    running = Digest()
    for chunk in read_chunks(io.BytesIO(data), fmt, chunk_bytes=chunk_bytes, digest=running):
        assert (chunk.start, running.end) == (start, chunk.end)
        assert chunk.digest == digest_at(io.BytesIO(data), [chunk.end])[chunk.end] == running.hex()
        start = chunk.end
        found += chunk.records.to_pylist()
        rest = read_chunks(io.BytesIO(data), fmt, start=start, digest=running.copy())
        assert found + [row for other in rest for row in other.records.to_pylist()] == whole
        again = read_chunks(io.BytesIO(data), fmt, start=start)
        assert found + [row for other in again for row in other.records.to_pylist()] == whole
    assert found == whole
    assert len(whole) == sum(1 for line in data.split(b"\n") if line.strip())


def test_a_growing_file_is_read_up_to_its_last_whole_line() -> None:
    """CONTRACT, ingest --follow."""
    first, second = a_line("a"), a_line("b")
    data = first + second[:40]
    [chunk] = read_chunks(io.BytesIO(data), JSONL, complete=False)
    assert (chunk.records["call_id"].to_pylist(), chunk.end) == (["a"], len(first))
    [chunk] = read_chunks(io.BytesIO(first + second), JSONL, start=chunk.end, complete=False)
    assert chunk.records["call_id"].to_pylist() == ["b"]
    assert [row["fault"] for row in rows(data)] == [None, "UNREADABLE"]
    assert rows(first[:-1], complete=False) == []
    assert [row["call_id"] for row in rows(first[:-1])] == ["a"]
    header = b"call_id,service_number,start_at,end_at\n"
    assert not list(read_chunks(io.BytesIO(header[:20]), load_format("csv"), complete=False))
    assert not list(read_chunks(io.BytesIO(header), load_format("csv"), complete=False))


def test_a_line_too_long_at_a_growing_file_s_end_is_left() -> None:
    fmt = replace(JSONL, record_max_bytes=2000)
    data = a_line("a") + b"x" * 9000
    [chunk] = read_chunks(io.BytesIO(data), fmt, complete=False, chunk_bytes=500)
    assert chunk.end == len(a_line("a"))
    last = list(read_chunks(io.BytesIO(data), fmt, chunk_bytes=500))[-1]
    assert last.records["fault_detail"][-1].as_py().startswith("The record is 9,000 bytes long")


def test_digests_of_several_beginnings_take_one_pass() -> None:
    """CONTRACT: a file is known by a hash of what was read."""
    data = random.Random(1).randbytes(100_000)
    found = digest_at(io.BytesIO(data), [0, 10, 10, 65_536, 100_000, 100_001])
    assert found.keys() == {0, 10, 65_536, 100_000}
    assert found[10] == digest_at(io.BytesIO(data[:10]), [10])[10]
    assert all(len(digest) == 32 for digest in found.values())
    assert len(set(found.values())) == 4


class Pipe:
    """Bytes that are made while they are read: a file of any size that cannot seek."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = b""

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        while len(self._left) < size:
            part = next(self._parts, b"")
            if not part:
                break
            self._left += part
        got, self._left = self._left[:size], self._left[size:]
        return got


def test_one_enormous_line_is_not_loaded() -> None:
    """F-09: a file with one line of any length is one reject, and the record behind it is read."""

    def parts() -> Iterator[bytes]:
        yield a_line("before")
        yield b'{"call_id": "big", "x": "'
        yield from (b"y" * (1 << 20) for _ in range(150))
        yield b'"}\n' + a_line("after")

    tracemalloc.start()
    stream: Any = Pipe(parts())
    found = [row for chunk in read_chunks(stream, JSONL) for row in chunk.records.to_pylist()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row["call_id"] for row in found] == ["before", "big", "after"]
    assert (found[1]["fault"], len(found[1]["raw"])) == ("UNREADABLE", 64 << 10)
    assert peak < 60 << 20


def test_standard_input_is_read_like_a_file() -> None:
    data = b"".join(a_line(f"c{place}") for place in range(500))
    stream: Any = Pipe(iter([data[:777], data[777:5000], data[5000:]]))
    found = list(read_chunks(stream, JSONL, chunk_bytes=9000))
    assert len(found) > 3
    assert sum(chunk.records.num_rows for chunk in found) == 500
    assert found[-1].digest == digest_at(io.BytesIO(data), [len(data)])[len(data)]


def test_nothing_is_read_behind_a_file_s_end() -> None:
    assert rows(a_line("a"), start=10_000) == []
