"""JSON Lines: what each line becomes (F-09), and that the fast reading is the exact one."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.records import RECORD
from streams import json_lines
from streams.decode import load_format, read_chunks

JSONL = load_format("jsonl")
NEEDED = ("call_id", "service_number", "caller_number", "caller_area")
SOFT = ("answering_phone", "answer_rule", "recording_ref")
TIMES = ("start_at", "answer_at", "end_at")
NAMES = (*NEEDED, *TIMES, "duration_s", *SOFT)


def a_call(**changes: Any) -> dict[str, Any]:
    return {
        "call_id": "sw1-000001",
        "service_number": "4001170392",
        "caller_number": "13800138000",
        "caller_area": "0531",
        "start_at": "2026-11-03T10:15:00+08:00",
        "answer_at": "2026-11-03T10:15:05+08:00",
        "end_at": "2026-11-03T10:16:06+08:00",
        "duration_s": 61,
        "answering_phone": "053188880000",
        "answer_rule": "sequential",
        "recording_ref": "rec/2026/11/1.wav",
    } | changes


def line(record: Any) -> bytes:
    return json.dumps(record).encode()


def rows(data: bytes, **options: Any) -> list[dict[str, Any]]:
    found = []
    for chunk in read_chunks(io.BytesIO(data), JSONL, **options):
        assert chunk.records.schema.equals(RECORD)
        chunk.records.validate(full=True)
        found += chunk.records.to_pylist()
    return found


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


# ---- the fast reading against a plain one


class Number(str):
    __slots__ = ()


def finite(token: str) -> Number:
    if Decimal(token).adjusted() >= 300:
        raise ValueError(token)
    return Number(token)


def refuse(token: str) -> None:
    raise ValueError(token)


def instant(text: str) -> datetime | None:
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", text, re.ASCII
    )
    if not found:
        return None
    fraction = (found[3] or ".0")[1:7].ljust(6, "0")
    offset = {"Z": "+00:00", "": "+08:00"}.get((found[4] or "").upper(), found[4])
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}.{fraction}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reference(data: bytes) -> dict[str, Any] | None:
    """A line read plainly, with the json module; None if it is no record, `fault` alone if it cannot be read."""
    data = data.removesuffix(b"\r")
    if not data.strip(b" \t\r"):
        return None
    try:
        pairs = json.loads(
            data.decode("utf-8", "surrogateescape"),
            object_pairs_hook=lambda pairs: ("object", pairs),
            parse_constant=refuse,
            parse_float=finite,
            parse_int=finite,
        )
    except (ValueError, ArithmeticError, RecursionError):
        return {"fault": "UNREADABLE"}
    if not isinstance(pairs, tuple):
        return {"fault": "UNREADABLE"}
    found: dict[str, Any] = dict.fromkeys(NAMES)
    faults = ["UNREADABLE" for name in NAMES if sum(key == name for key, _ in pairs[1]) > 1]
    for key, value in pairs[1]:
        if key not in NAMES or value is None:
            continue
        number = isinstance(value, Number)
        if key in SOFT:
            found[key] = re.sub("[\ud800-\udfff\0]", "\ufffd", value) if isinstance(value, str) else "…"
        elif key == "duration_s":
            if number and re.fullmatch(r"-?\d+", value, re.ASCII):
                found[key] = int(value)
            else:
                faults.append("UNREADABLE")
        elif not isinstance(value, str) or number or re.search("[\ud800-\udfff\0]", value):
            faults.append("UNREADABLE")
        else:
            found[key] = value
    found = {key: None if value == "" else value for key, value in found.items()}
    faults += ["MISSING_FIELD" for name in ("call_id", "service_number") if found[name] is None]
    faults += ["UNREADABLE"] if len(found["call_id"] or "") > 64 else []
    for name in TIMES:
        if found[name] is None and name != "answer_at":
            faults.append("MISSING_FIELD")
        elif found[name] is not None:
            found[name] = instant(found[name])
            faults += [] if found[name] else ["UNREADABLE"]
    if abs(found["duration_s"] or 0) >= 1 << 63:
        faults.append("DURATION_LIMIT")
        found["duration_s"] = None
    found["fault"] = faults[0] if faults else None
    found["extra"] = [key for key, _ in pairs[1] if key not in NAMES]
    return found


def check(data: bytes, **options: Any) -> None:
    """What is read is what the reference reads, line by line."""
    expected = [(each, got) for each in data.split(b"\n") if (got := reference(each)) is not None]
    found = rows(data, **options)
    assert [row["raw"] for row in found] == [each.removesuffix(b"\r") for each, _ in expected]
    for row, (raw, wanted) in zip(found, expected, strict=True):
        assert row["fault"] == wanted["fault"], (raw, row["fault_detail"])
        assert (row["fault_detail"] is None) == (row["fault"] is None)
        if wanted.keys() == {"fault"} or (
            wanted["fault"] and raw.count(b'"call_id"') + raw.count(b'"duration_s"') > 2
        ):
            continue
        for name in NAMES:
            if wanted[name] == "…":
                assert row[name]
            elif name != "call_id" or len(wanted[name] or "") <= 64:
                assert row[name] == wanted[name], (name, raw)
        extra = json.loads(row["extra"]) if row["extra"] else {}
        clean = {re.sub("[\ud800-\udfff]", "\ufffd", key) for key in wanted["extra"]}
        assert extra.keys() == clean, raw


texts = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            "4001170392",
            "张三",
            "a,b",
            ",",
            '"',
            "\\",
            "a\\",
            '","',
            "{}",
            "null",
            "\t",
            "\0",
            "\ud800",
            "😀",
            "/x/",
        ]
    ),
    st.text(max_size=8),
)
FIRST, LAST = datetime.fromisoformat("1800-01-01"), datetime.fromisoformat("2300-01-01")
zones = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])
times = st.one_of(
    st.datetimes(FIRST, LAST, timezones=zones).map(lambda t: t.isoformat()),
    st.datetimes(FIRST, LAST).map(lambda t: t.isoformat(sep=" ", timespec="milliseconds")),
    st.sampled_from(["2026-11-03T10:15:00Z", "2026-11-03T10:15:00z", "2026-11-03T24:00:00Z", "2026-11-03T10:15:60+08:00",
                     "2026-11-03T10:15:00+24:00", "2026-11-03T10:15:00.12+08", "2026-11-03T10:15+08:00", "0000-01-01T00:00:00Z",
                     "2026-11-03T10:15:00+0800", "2026-11-03", "", "٢٠٢٦-11-03T10:15:00Z", "2026-11-03T10:15:00.1234567Z"]),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-10, 100_000),
    st.integers(),
    st.floats(allow_nan=True),
    st.sampled_from([2**63, -(2**63), 2**63 - 1]),
)
anything: st.SearchStrategy[Any] = st.one_of(
    texts,
    times,
    numbers,
    st.none(),
    st.booleans(),
    st.lists(texts, max_size=2),
    st.dictionaries(texts, texts, max_size=2),
)
keys = st.sampled_from(["queue", "x", "cost", "张", "a b", "call_id "])


@st.composite
def records(draw: st.DrawFn) -> list[bytes]:
    """A few lines of one maker: the same fields in one order, values that vary, some of them wrong."""
    template = dict(draw(st.permutations(list(a_call().items()))))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        template.pop(name, None)
    others = draw(st.dictionaries(keys, anything, max_size=3))
    template |= others
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
    ascii_only = draw(st.booleans())
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        record = dict(template)
        for name in draw(st.lists(st.sampled_from(sorted(record) or ["x"]), max_size=3)):
            usual = times if name in TIMES else st.integers(0, 5000) if name == "duration_s" else texts
            record[name] = draw(st.one_of(usual, usual, st.none(), anything))
        text = json.dumps(record, separators=separators, ensure_ascii=ascii_only)
        data = text.encode("utf-8", "surrogatepass")
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
            place = draw(st.integers(0, len(data)))
            data = (
                data[:place]
                + draw(st.sampled_from([b"", b'"', b"\\", b"\xff", b"\r", b",", b"}", b"\x01", b" "]))
                + data[place + draw(st.integers(0, 2)) :]
            )
        lines.append(data.replace(b"\n", b" "))
    return lines


@settings(max_examples=60, deadline=None)
@given(st.lists(records(), min_size=1, max_size=4), st.sampled_from([b"\n", b"\r\n"]), st.integers(0, 3))
def test_the_fast_reading_is_the_exact_one(makers: list[list[bytes]], end: bytes, repeat: int) -> None:
    """F-09: whatever the lines, shapes and a plain reading with the json module give the same rows."""
    lines = [each for maker in makers for each in maker] * (1 + repeat)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_FEW_LINES", 1)
        check(end.join(lines))


NEAR_MISSES = [
    (b'"call_id"', b'"call_iD"'),
    (b'"caller_area"', b'"callez_area"'),
    (b'"queue"', b'"qu\\u0065ue"'),
    (b": 61,", b": 061,"),
    (b": 61,", b": 00,"),
    (b": 61,", b": -61,"),
    (b": 61,", b": 6 1,"),
    (b": 61,", b": 61.0,"),
    (b": 61,", b": 123456789012345678,"),
    (b": 61,", b": 1234567890123456789,"),
    (b": 61,", b": 12345678901234567890,"),
    (b": 61,", b": nul,"),
    (b": 61,", b": null,"),
    (b": 61,", b": nulll,"),
    (b": 61,", b": ,"),
    (b": 61,", b': "",'),
    (b": 4.41,", b": 04.41,"),
    (b": 4.41,", b": 4.,"),
    (b": 4.41,", b": .41,"),
    (b": 4.41,", b": 4.4.1,"),
    (b": 4.41,", b": -,"),
    (b": 4.41,", b": truee,"),
    (b": 4.41,", b": false,"),
    (b": 4.41,", b": [],"),
    (b'"0531"', b'"05\\"31"'),
    (b'"0531"', b'"05\\\\31"'),
    (b'"0531"', b'"05\\\\"'),
    (b'"0531"', b'"05\\q31"'),
    (b'"0531"', b'"05\\u12"'),
    (b'"0531"', b'"05\\u0000"'),
    (b'"0531"', b'"05\\ud83d"'),
    (b'"0531"', b'"05\\/31"'),
    (b'"0531"', b'"05\\u0031"'),
    (b'"0531"', b'"05"31"'),
    (b'"0531"', b'",0531"'),
    (b'"0531"', b'", "'),
    (b'"0531"', b'", "x": "'),
    (b'"0531"', b'""'),
    (b'"0531"', b'""0531"'),
    (b'"0531"', b"null"),
    (b'"0531"', b"0531"),
    (b'"0531"', b"531"),
    (b'"0531"', b'"05\t31"'),
    (b'"0531"', b'"05\x0031"'),
    (b'"0531"', b'"05\xff31"'),
    (b'"0531"', '"济南"'.encode()),
    (b'"vip"', b'"\\q"'),
    (b'"vip"', b'"\xff"'),
    (b'"vip"', b'"v"ip"'),
    (b'"vip"', b'"v\\"ip"'),
    (b'{"call_id"', b' {"call_id"'),
    (b'{"call_id"', b'"call_id"'),
    (b"}", b"} "),
    (b"}", b"}}"),
    (b"}", b""),
    (b"}", b",}"),
    (b"}", b', "queue": 1}'),
    (b"}", b', "call_id": "x"}'),
]


@pytest.mark.parametrize(("old", "new"), NEAR_MISSES)
def test_a_line_that_almost_looks_like_the_others_is_read_exactly(old: bytes, new: bytes) -> None:
    """F-09: one byte makes it another line, among lines that are read by shape."""
    good = line(a_call(queue="vip", mos=4.41))
    assert old in good.replace(b"}", b",}")
    last = line(a_call(mos=4.41, queue="vip"))
    check(
        b"\n".join(
            [good] * 20
            + [last] * 20
            + [good.replace(old, new), last.replace(old, new)]
            + [good] * 20
            + [last] * 20
        )
    )


def test_lines_that_look_alike_are_read_by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nulls, numbers, unknown fields and other orders do not send a line to the slow reading."""
    makers = [
        a_call(),
        a_call(queue="vip", mos=4.41, ok=True),
        dict(reversed(a_call().items())),
        a_call(tags=["a", "b"], inner={"x": "y", "z": [1.5, 2]}),
    ]
    lines = []
    for place in range(400):
        record = dict(makers[place % 4], call_id=f"c{place}")
        if place % 3 == 0:
            record |= {"answer_at": None, "duration_s": None, "answering_phone": None, "recording_ref": None}
        lines.append(line(record))
    walked = 0
    walk = json_lines.walk

    def counting(*args: Any) -> Any:
        nonlocal walked
        walked += 1
        return walk(*args)

    monkeypatch.setattr(json_lines, "walk", counting)
    check(b"\n".join(lines))
    assert walked < 20
