"""Lines read by shape are read exactly: against a plain reading with the json module (F-09)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import json_lines
from tests.streams_json import NAMES, TIMES, a_call, check, line

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
