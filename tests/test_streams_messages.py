"""Kafka's messages as calls: JSON, Avro and Arrow batches, poison (F-09)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streams.messages import ARROW, AVRO, CONTENT_TYPE, FAULT, FAULT_DETAIL, MessageDecoder
from tests.ledgers import a_call
from tests.messages_made import arrow, avro

GOOD = a_call(1).rstrip()
RECORD = json.loads(GOOD)


def read(*messages: bytes | tuple[bytes, dict[str, str]] | None) -> list[dict[str, Any]]:
    """Rows of messages; one with headers is a pair. Offsets begin at 100."""
    values = [one[0] if isinstance(one, tuple) else one for one in messages]
    headers = [
        [(name, value.encode()) for name, value in one[1].items()] if isinstance(one, tuple) else None
        for one in messages
    ]
    records, counts = MessageDecoder().records(values, headers, np.arange(100, 100 + len(values)))
    assert counts.sum() == records.num_rows
    return records.to_pylist()


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (None, "The message is empty."),
        (b"", "The message is empty."),
        (b" \n ", "The message is empty."),
        (b"poison", "The line begins with p"),
        (b"\xff\xfe{}", "The line begins with"),
        (b"\x00", "The line begins with"),
        (b'{"call_id":', "cannot be read"),
        (b'{"call_id": 1e400}', "1e400"),
        (b"[" * 100_000, "The line begins with ["),
        (b"x" * 10_000_000, "10,000,000 bytes long"),
        ((b"no batch", {CONTENT_TYPE: AVRO}), "This is no avro/binary"),
        ((b"no batch", {CONTENT_TYPE: ARROW}), "This is no application/vnd.apache.arrow.stream"),
        ((GOOD, {CONTENT_TYPE: "text/xml"}), 'The content-type "text/xml" is not known'),
    ],
)
def test_poison_is_one_reject_and_costs_no_neighbour(message: Any, sentence: str) -> None:
    """F-09, R-INV-1: with its bytes, as far as they are kept."""
    rows = read(GOOD, message, GOOD)
    assert [row["source_pos"] for row in rows] == [100, 101, 102]
    assert [row["fault"] for row in rows] == [None, "UNREADABLE", None]
    assert sentence in rows[1]["fault_detail"]
    given = message[0] if isinstance(message, tuple) else message or b""
    assert rows[1]["raw"] == (given if len(given) <= 1 << 20 else given[: 64 << 10])
    assert [rows[0]["call_id"], rows[2]["call_id"]] == ["k1", "k1"]


def test_json_over_several_lines_is_one_record() -> None:
    spread = json.dumps(RECORD, indent=2).encode()
    (row,) = read(spread)
    assert (row["call_id"], row["fault"], row["raw"]) == ("k1", None, spread)


def test_avro_and_arrow_batches_are_read_as_json_is() -> None:
    two = [RECORD, RECORD | {"call_id": "k2"}]
    want = [
        {**row, "raw": None, "source_pos": None} for row in read(*(json.dumps(one).encode() for one in two))
    ]
    for kind, batch in ((AVRO, avro(two)), (ARROW, arrow(pa.Table.from_pylist(two)))):
        rows = read((batch, {"Content-Type": f"{kind}; charset=utf-8"}), GOOD)
        assert [row["source_pos"] for row in rows] == [100, 100, 101]
        assert [{**row, "raw": None, "source_pos": None} for row in rows[:2]] == want


def test_an_empty_batch_is_no_record() -> None:
    rows = read(
        (avro([], RECORD), {CONTENT_TYPE: AVRO}),
        (arrow(pa.Table.from_pylist([RECORD])[:0]), {CONTENT_TYPE: ARROW}),
        GOOD,
    )
    assert [row["source_pos"] for row in rows] == [102]


def test_arrow_that_cannot_hold_a_call_exactly_is_refused() -> None:
    """F-22: money and times never come from floats."""
    table = pa.Table.from_pylist([RECORD | {"duration_s": 60.5}])
    (row,) = read((arrow(table), {CONTENT_TYPE: ARROW}))
    assert "column duration_s is double; write it as int64" in row["fault_detail"]


def test_what_collect_could_not_read_is_rejected_in_its_words() -> None:
    (row,) = read((b"raw,line", {FAULT: "BAD_INTERVAL", FAULT_DETAIL: "It ends before it starts."}))
    assert (row["fault"], row["fault_detail"], row["raw"]) == (
        "BAD_INTERVAL",
        "It ends before it starts.",
        b"raw,line",
    )
