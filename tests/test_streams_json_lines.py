"""JSON Lines: what each line becomes (F-09)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from tests.streams_json import a_call, line, rows


def test_a_call_is_read_as_the_contract_says() -> None:
    """CONTRACT, call record."""
    [row] = rows(line(a_call(queue="vip", priority=2)) + b"\n")
    assert row == {
        "call_id": "sw1-000001",
        "service_number": "4001170392",
        "caller_number": "13800138000",
        "caller_area": "0531",
        "start_at": datetime(2026, 11, 3, 2, 15, tzinfo=UTC),
        "answer_at": datetime(2026, 11, 3, 2, 15, 5, tzinfo=UTC),
        "end_at": datetime(2026, 11, 3, 2, 16, 6, tzinfo=UTC),
        "duration_s": 61,
        "answering_phone": "053188880000",
        "answer_rule": "sequential",
        "recording_ref": "rec/2026/11/1.wav",
        "extra": '{"queue":"vip","priority":2}',
        "fault": None,
        "fault_detail": None,
        "raw": line(a_call(queue="vip", priority=2)),
        "source_pos": 0,
    }


DEEP = b'{"call_id": "x", "extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BAD_LINES: list[tuple[str, bytes, str, str]] = [
    (
        "invalid UTF-8 in a needed field",
        line(a_call()).replace(b"13800138000", b"138\xff"),
        "UNREADABLE",
        "caller_number",
    ),
    ("a NUL byte", line(a_call()).replace(b"0531", b"05\x0031", 1), "UNREADABLE", "caller_area"),
    ("an escaped NUL", line(a_call(caller_number="1\0")), "UNREADABLE", "NUL"),
    ("half a surrogate pair", line(a_call(service_number="\ud800")), "UNREADABLE", "service_number"),
    ("null", b"null", "UNREADABLE", "null"),
    ("cut off", line(a_call())[:150], "UNREADABLE", "not JSON"),
    ("NaN", line(a_call(duration_s=float("nan"))), "UNREADABLE", "NaN"),
    ("Infinity in an unknown field", line(a_call(x=float("inf"))), "UNREADABLE", "Infinity"),
    ("1e400", line(a_call(duration_s="X")).replace(b'"X"', b"1e400"), "UNREADABLE", "1e400"),
    ("1e400 in an unknown field", line(a_call(x="X")).replace(b'"X"', b"1e400"), "UNREADABLE", "1e400"),
    (
        "a number of 400 digits",
        line(a_call(x="X")).replace(b'"X"', b"9" * 400),
        "UNREADABLE",
        "400 characters",
    ),
    ("deep nesting", DEEP, "UNREADABLE", "64 deep"),
    ("a value of 10 MB", line(a_call(x="y" * 10_000_000)), "UNREADABLE", "bytes long"),
    ("an array", b'["call_id"]', "UNREADABLE", "object"),
    ("a number", b"17", "UNREADABLE", "17"),
    ("two objects", line(a_call()) + b" {}", "UNREADABLE", "goes on"),
    ("a field twice", line(a_call())[:-1] + b', "duration_s": 5}', "UNREADABLE", "duration_s"),
    ("an id that is a number", line(a_call(call_id=17)), "UNREADABLE", "call_id is 17, not text"),
    (
        "a number in quotes",
        line(a_call(duration_s="12")),
        "UNREADABLE",
        'duration_s is "12", not a whole number',
    ),
    ("a fraction", line(a_call(duration_s=12.5)), "UNREADABLE", "duration_s is 12.5"),
    ("an exponent", line(a_call(duration_s="X")).replace(b'"X"', b"1e3"), "UNREADABLE", "duration_s is 1e3"),
    ("a flag", line(a_call(duration_s=True)), "UNREADABLE", "duration_s is true"),
    ("a duration beyond int64", line(a_call(duration_s=2**70)), "DURATION_LIMIT", str(2**70)),
    ("30 February", line(a_call(start_at="2026-02-30T10:00:00+08:00")), "UNREADABLE", "2026-02-30"),
    ("a time that is an object", line(a_call(end_at={})), "UNREADABLE", "end_at"),
    ("no id", line({"service_number": "4001170392"}), "MISSING_FIELD", "call_id"),
    ("an empty id", line(a_call(call_id="")), "MISSING_FIELD", "call_id"),
    ("no number", line(a_call(service_number=None)), "MISSING_FIELD", "service_number"),
    ("no start", line(a_call(start_at=None)), "MISSING_FIELD", "start_at"),
    ("no end", line(a_call(end_at="")), "MISSING_FIELD", "end_at"),
    ("an empty object", b"{}", "MISSING_FIELD", "call_id"),
    ("a long id", line(a_call(call_id="i" * 65)), "UNREADABLE", "longer than 64"),
]


@pytest.mark.parametrize(
    ("bad", "fault", "says"), [each[1:] for each in BAD_LINES], ids=[each[0] for each in BAD_LINES]
)
def test_a_bad_line_is_one_fault_and_its_neighbours_are_read(bad: bytes, fault: str, says: str) -> None:
    """F-09, F-04, R-INV-1: the record before and the one after are calls, the bad one says what is wrong."""
    before, after = line(a_call(call_id="before")), line(a_call(call_id="after"))
    first, middle, last = rows(before + b"\n" + bad + b"\n" + after + b"\n")
    assert (first["call_id"], first["fault"], last["call_id"], last["fault"]) == (
        "before",
        None,
        "after",
        None,
    )
    assert middle["fault"] == fault
    assert says in middle["fault_detail"]
    assert middle["fault_detail"].endswith(".")
    assert len(middle["fault_detail"]) < 250
    assert middle["raw"] == bad[: len(middle["raw"])]
    assert len(middle["raw"]) == (len(bad) if len(bad) <= 1 << 20 else 64 << 10)


@pytest.mark.parametrize(
    "bad", [b'"duration_s": "12"', b'"duration_s": 12.5', b'"end_at": "yesterday"', b'"end_at": ,']
)
def test_fields_that_could_be_read_are_kept_beside_a_fault(bad: bytes) -> None:
    """F-09: a clerk finds the rejected call by its id."""
    name = bad.split(b'"')[1]
    data = re.sub(b'"%s": [^,]*' % name, bad, line(a_call()))
    [row] = rows(data)
    assert row["fault"] == "UNREADABLE"
    assert (row["call_id"], row["service_number"]) == ("sw1-000001", "4001170392")
    assert row["start_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert row[name.decode()] is None


def test_the_id_of_a_record_that_is_too_long_is_kept() -> None:
    """F-09."""
    [row] = rows(line(a_call(x="y" * 3_000_000)))
    assert row["call_id"] == "sw1-000001"
    assert (
        row["fault_detail"]
        == f"The record is {len(line(a_call(x='y' * 3_000_000))):,} bytes long; at most 1,048,576 are read."
    )


def test_bytes_that_are_not_utf8_in_a_field_that_rating_does_not_need_do_not_cost_the_call() -> None:
    """CONTRACT: they are replaced."""
    data = line(a_call(recording_ref="R", answering_phone="P", answer_rule="A", note="N", z=1))
    for letter in (b"R", b"P", b"A", b"N"):
        data = data.replace(b'"' + letter + b'"', b'"\xc4\xe3"')
    [row] = rows(data)
    assert row["fault"] is None
    assert row["recording_ref"] == row["answering_phone"] == row["answer_rule"] == "\ufffd\ufffd"
    assert json.loads(row["extra"]) == {"note": "\ufffd\ufffd", "z": 1}


def test_blank_lines_are_no_records_and_line_ends_may_be_crlf() -> None:
    """CONTRACT: one object a line."""
    data = b"\r\n\n  \n" + line(a_call(call_id="1")) + b"\r\n\t\r\n" + line(a_call(call_id="2")) + b"\r\n" * 3
    found = rows(data)
    assert [(row["call_id"], row["fault"]) for row in found] == [("1", None), ("2", None)]
    assert found[0]["raw"] == line(a_call(call_id="1"))
    assert [row["source_pos"] for row in found] == [data.index(b"{"), data.rindex(b'{"')]


def test_a_byte_order_mark_belongs_to_no_record() -> None:
    [row] = rows(b"\xef\xbb\xbf" + line(a_call()))
    assert (row["call_id"], row["source_pos"], row["raw"]) == ("sw1-000001", 3, line(a_call()))


def test_times_without_an_offset_are_shanghai_and_fractions_are_cut() -> None:
    """CONTRACT: local times without an offset are Asia/Shanghai."""
    [row] = rows(line(a_call(start_at="2026-11-03 10:15:00", answer_at="2026-11-03t02:15:05.1234569z")))
    assert row["start_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert row["answer_at"] == datetime(2026, 11, 3, 2, 15, 5, 123456, tzinfo=UTC)


def test_a_negative_duration_is_passed_on() -> None:
    """F-02: what it means is for rating to say."""
    [row] = rows(line(a_call(duration_s=-5)))
    assert (row["duration_s"], row["fault"]) == (-5, None)


def test_escapes_say_what_they_say_in_any_reader() -> None:
    data = line(a_call(recording_ref="R", caller_area="A", note="N"))
    data = (
        data.replace(b'"R"', b'"\\/rec\\/1.wav"')
        .replace(b'"A"', b'"\\u0030531"')
        .replace(b'"N"', b'"\\u5f20\\t\\ud83d\\ude00"')
    )
    found = rows(b"\n".join([data] * 40))
    assert {row["recording_ref"] for row in found} == {"/rec/1.wav"}
    assert {row["caller_area"] for row in found} == {"0531"}
    assert json.loads(found[39]["extra"]) == {"note": "张\t😀"}
