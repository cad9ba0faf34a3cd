"""CSV: the contract's columns, what switches write, and rows that are not in order."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.records import RECORD
from streams.csv_record import read_record
from streams.decode import Format, FormatError, load_format, read_chunks
from streams.delimited import Delimited
from streams.mapping import Layout

HEADER = "call_id,service_number,caller_number,start_at,answer_at,end_at,duration_s,recording_ref,queue"
ROW = "c1,4001170392,13800138000,2026-11-03T10:15:00+08:00,2026-11-03 10:15:05,2026-11-03T02:16:06Z,61,r.wav,vip"


def rows(data: bytes | str, fmt: Format | str = "csv", **options: Any) -> list[dict[str, Any]]:
    data = data.encode() if isinstance(data, str) else data
    fmt = load_format(fmt, data) if isinstance(fmt, str) else fmt
    found = []
    for chunk in read_chunks(io.BytesIO(data), fmt, **options):
        assert chunk.records.schema.equals(RECORD)
        chunk.records.validate(full=True)
        found += chunk.records.to_pylist()
    return found


def test_the_contract_s_columns_are_read_and_missing_ones_are_null() -> None:
    """CONTRACT: the same columns in CSV; local times are Shanghai's, unknown columns are kept."""
    [row] = rows(f"{HEADER}\n{ROW}\n")
    assert row == {
        "call_id": "c1",
        "service_number": "4001170392",
        "caller_number": "13800138000",
        "caller_area": None,
        "start_at": datetime(2026, 11, 3, 2, 15, tzinfo=UTC),
        "answer_at": datetime(2026, 11, 3, 2, 15, 5, tzinfo=UTC),
        "end_at": datetime(2026, 11, 3, 2, 16, 6, tzinfo=UTC),
        "duration_s": 61,
        "answering_phone": None,
        "answer_rule": None,
        "recording_ref": "r.wav",
        "extra": '{"queue":"vip"}',
        "fault": None,
        "fault_detail": None,
        "raw": ROW.encode(),
        "source_pos": len(HEADER) + 1,
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen_from_the_header(delimiter: str) -> None:
    found = rows(f"{HEADER}\n{ROW}\n".replace(",", delimiter), "auto")
    assert [row["call_id"] for row in found] == ["c1"]


def test_a_byte_order_mark_crlf_capitals_and_spaces_do_no_harm() -> None:
    text = (
        "\r\n"
        + HEADER.upper().replace(",", ", ")
        + "\r\n"
        + ROW.replace(",", " , ")
        + "\r\n\r\n , ,,,,,,,\r\n   \r\n"
    )
    first, empty = rows(b"\xef\xbb\xbf" + text.encode())
    assert (first["call_id"], first["duration_s"], first["fault"]) == ("c1", 61, None)
    assert empty["fault"] == "MISSING_FIELD"


def test_quotes_are_read_as_in_rfc_4180() -> None:
    """Delimiters, quotes and line ends inside quotes belong to the cell."""
    row = ROW.replace("vip", '"a ""big"", queue\nof two\r\nlines"').replace("r.wav", '""')
    first, second = rows(f"{HEADER}\n{row}\n{ROW}")
    assert json.loads(first["extra"]) == {"queue": 'a "big", queue\nof two\r\nlines'}
    assert (first["fault"], first["recording_ref"], first["raw"]) == (None, None, row.encode())
    assert (second["call_id"], second["raw"]) == ("c1", ROW.encode())


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (ROW + ",one more", "10 columns, not 9"),
        (ROW.rpartition(",")[0], "8 columns, not 9"),
        (ROW.replace("61", "61.5"), "duration_s is"),
        (ROW.replace("61", "0x10"), "duration_s is"),
        (ROW.replace("2026-11-03T10:15:00+08:00", "3.11.2026"), "start_at is"),
        (ROW.replace("c1", '"c1'), "A quote opens"),
        (ROW.replace("vip", '"vip'), "A quote opens"),
    ],
)
def test_a_bad_row_is_one_fault_and_its_neighbours_are_read(bad: str, says: str) -> None:
    """F-09, R-INV-1: also a quote that nobody closes swallows no other record."""
    found = rows(f"{HEADER}\n{ROW}\n{bad}\n{ROW}\n{ROW}\n".encode())
    assert [row["fault"] for row in found] == [None, "UNREADABLE", None, None]
    assert says in found[1]["fault_detail"]
    assert found[1]["raw"] == bad.encode()


def test_bytes_that_are_not_utf8_cost_the_call_only_where_rating_needs_them() -> None:
    """CONTRACT, F-09."""
    name = "张三".encode("gb18030")
    good = ROW.encode().replace(b"vip", name).replace(b"r.wav", name)
    bad = ROW.encode().replace(b"13800138000", name)
    nul = ROW.encode().replace(b"4001170392", b"400117\x000392")
    first, second, third, last = rows(b"\n".join([HEADER.encode(), good, bad, nul, ROW.encode()]))
    assert (first["fault"], first["recording_ref"]) == (None, name.decode("utf-8", "replace"))
    assert json.loads(first["extra"]) == {"queue": name.decode("utf-8", "replace")}
    assert (second["fault"], second["call_id"]) == ("UNREADABLE", "c1")
    assert "caller_number" in second["fault_detail"]
    assert (third["fault"], last["fault"]) == ("UNREADABLE", None)
    assert "NUL" in third["fault_detail"]


def test_a_first_line_that_is_no_header_is_refused() -> None:
    """Nothing is taken in under wrong names."""
    with pytest.raises(FormatError, match='has no column "call_id"'):
        rows(ROW)
    with pytest.raises(FormatError, match="2 times"):
        rows(f"{HEADER},call_id\n{ROW},c2\n")


def test_a_record_that_is_too_long_is_passed_over() -> None:
    fmt = replace(load_format("csv"), record_max_bytes=2000)
    long = ROW.replace("vip", "x" * 5000)
    first, middle, last = rows(f"{HEADER}\n{ROW}\n{long}\r\n{ROW}\n", fmt, chunk_bytes=700)
    assert (first["fault"], last["fault"]) == (None, None)
    assert middle["fault_detail"] == f"The record is {len(long):,} bytes long; at most 2,000 are read."


# ---- real switches

FREESWITCH = """\
"张三","13800138000","4001170392","public","2026-11-03 10:15:00","2026-11-03 10:15:05","2026-11-03 10:16:06","66","61","NORMAL_CLEARING","a5c9f6c0-e752-11e3-8bfb-65b6c3cdac7d","b1","","PCMA","PCMA"
"anonymous","anonymous","4001170392","public","2026-11-03 10:15","","2026-11-03 10:16","60","0","NO_ANSWER","e29ff0ae-e752-11e3-8bff-65b6c3cdac7d","","","",""
"""


def test_freeswitch_s_default_template() -> None:
    """CONTRACT, ingest: local times without an offset, with and without seconds, no header."""
    answered, missed = rows(FREESWITCH, "auto")
    assert (answered["fault"], missed["fault"]) == (None, None)
    assert answered["call_id"] == "a5c9f6c0-e752-11e3-8bfb-65b6c3cdac7d"
    assert (answered["service_number"], answered["caller_number"]) == ("4001170392", "13800138000")
    assert answered["start_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert answered["answer_at"] == datetime(2026, 11, 3, 2, 15, 5, tzinfo=UTC)
    assert (answered["end_at"], answered["duration_s"]) == (datetime(2026, 11, 3, 2, 16, 6, tzinfo=UTC), 61)
    assert json.loads(answered["extra"])["hangup_cause"] == "NORMAL_CLEARING"
    assert (missed["answer_at"], missed["duration_s"], missed["caller_number"]) == (None, 0, None)
    assert missed["start_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)


MASTER = '''\
"","13800138000","4001170392","from-trunk","""Zhang, San"" <13800138000>","SIP/trunk-00000001","SIP/8001-00000002","Dial","SIP/8001,20","2026-11-03 10:15:00",,"2026-11-03 10:15:20",20,0,"NO ANSWER","DOCUMENTATION","1777777700.1",""
"","13800138000","4001170392","from-trunk","""Zhang, San"" <13800138000>","SIP/trunk-00000001","SIP/8002-00000003","Dial","SIP/8002,20","2026-11-03 10:15:20","2026-11-03 10:15:25","2026-11-03 10:16:26",66,61,"ANSWERED","DOCUMENTATION","1777777700.1",""
"","13900139000","4001170392","from-trunk","","SIP/trunk-00000004","SIP/8001-00000005","Dial","SIP/8001,20","2026-11-03 10:17:00",,"2026-11-03 10:17:30",30,0,"BUSY","DOCUMENTATION","1777777800.4",""
'''


def test_asterisk_s_master_csv() -> None:
    """CONTRACT, ingest: accountcode first; a row for each phone that rang, one record for the call."""
    answered, busy = rows(MASTER, "auto")
    assert (answered["fault"], busy["fault"]) == (None, None)
    assert (answered["call_id"], answered["service_number"]) == ("1777777700.1", "4001170392")
    assert answered["start_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert answered["answer_at"] == datetime(2026, 11, 3, 2, 15, 25, tzinfo=UTC)
    assert (answered["end_at"], answered["duration_s"]) == (datetime(2026, 11, 3, 2, 16, 26, tzinfo=UTC), 61)
    assert answered["answering_phone"] == "8002"
    assert answered["raw"] == b"\n".join(MASTER.encode().split(b"\n")[:2])
    extra = json.loads(answered["extra"])
    assert (extra["clid"], extra["merged_rows"]) == ('"Zhang, San" <13800138000>', 2)
    assert (busy["answer_at"], busy["duration_s"]) == (None, 0)


def test_asterisk_s_custom_csv_is_told_apart() -> None:
    """CONTRACT, ingest: clid first, accountcode late; `asterisk` names both."""
    moved = (
        [c[4].replace('"', '""'), *c[1:4], *c[5:16], c[0], *c[16:]] for c in csv.reader(io.StringIO(MASTER))
    )
    found = [",".join(f'"{cell}"' for cell in cells) for cells in moved]
    custom = "\n".join(found)
    for name in ("auto", "asterisk"):
        assert [row["call_id"] for row in rows(custom, name)] == ["1777777700.1", "1777777800.4"]
        assert [row["call_id"] for row in rows(MASTER, name)] == ["1777777700.1", "1777777800.4"]


def test_a_header_that_a_switch_may_have_is_no_record() -> None:
    columns = load_format("asterisk").layout.columns
    header = ",".join(f'"{name}"' for name in columns) + "\n"
    assert [row["call_id"] for row in rows(header + MASTER, "asterisk")] == ["1777777700.1", "1777777800.4"]
    moved = '"uniqueid","start","end","dst","billsec","disposition"\n"1.2","2026-11-03 10:00","2026-11-03 10:01","4001170392","60","ANSWERED"\n'
    [row] = rows(moved, "asterisk")
    assert (row["call_id"], row["duration_s"], row["fault"]) == ("1.2", 60, None)


def test_chinese_caller_names_in_gb18030_do_not_cost_the_call() -> None:
    """CONTRACT: real switch files hold bytes that are not UTF-8."""
    data = FREESWITCH.encode("gb18030")
    assert [row["fault"] for row in rows(data, "auto")] == [None, None]


def test_a_dirty_asterisk_file() -> None:
    """F-09: cut off by a restart, a stray quote, two rows run together, an empty line, a quote in a name."""
    lines = MASTER.encode().splitlines()
    stray = lines[2].replace(b'"BUSY"', b'"BUSY').replace(b"1777777800.4", b"1777777800.5")
    name = lines[2].replace(b'"",', b'"Bo"b",', 1).replace(b"1777777800.4", b"1777777800.6")
    data = b"\n".join([lines[2][40:], lines[0], lines[1], b"", stray, name, lines[1] + lines[2], lines[2]])
    found = rows(data, "asterisk")
    assert [(row["call_id"], row["fault"]) for row in found] == [
        (None, "UNREADABLE"),
        ("1777777700.1", None),
        (None, "MISSING_FIELD"),
        ("1777777800.6", None),
        (None, "UNREADABLE"),
        ("1777777800.4", None),
    ]


# ---- the fast reading against the exact one

pieces = st.sampled_from(
    [
        "a",
        "b c",
        '"',
        '""',
        ",",
        ",",
        "\n",
        "\r\n",
        '"x"',
        '"x,y"',
        '"x""y"',
        '"l\nm"',
        " ",
        "\t",
        "张",
        ' "q" ',
        "\0",
    ]
)


def plainly(data: bytes, layout: Layout, columns: int, limit: int) -> list[tuple[bytes, list[bytes], bool]]:
    """Raw bytes, cells and whether the quotes were in order, record by record."""
    found, at = [], 0
    while at < len(data):
        record = read_record(data, at, layout, limit, lambda n: n == columns, final=True)
        assert record
        raw = data[at : record.end].rstrip(b"\r\n")
        if raw.strip(b" \t\r\n"):
            found.append((raw, record.cells, record.fault is None))
        at = record.end
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=60).map("".join), st.integers(1, 4), st.sampled_from([40, 1000]))
def test_the_fast_reading_is_the_exact_one(text: str, columns: int, limit: int) -> None:
    """F-09: whatever the quotes, whole columns give the same cells as one record after the other."""
    names = [f"f{place}" for place in range(columns)]
    call = load_format("csv")
    fmt = replace(call, record_max_bytes=limit)
    data = text.encode()
    reader = Delimited(fmt)
    reader._fields, reader._columns = names, names
    reader._least = reader._most = columns
    reader._place = {name: place for place, name in enumerate(names)}
    found, used = reader.decode(data, 0, final=True)
    assert used == len(data)
    assert all(found.text[name].validate(full=True) is None for name in names)
    expected = plainly(data, fmt.layout, columns, limit)
    short = [each for each in expected if len(each[0]) <= limit]
    read = [row for row in range(len(found)) if "bytes long" not in found.faults.get(row, ("", ""))[1]]
    if len(short) < len(expected):
        return
    assert [found.raw[row].as_py() for row in read] == [raw for raw, _, _ in expected]
    for row, (_, cells, clean) in zip(read, expected, strict=True):
        values = [found.text[name][row].as_py() for name in names]
        if clean and len(cells) == columns and b"\0" not in b"".join(cells):
            assert values == [cell.decode() or None for cell in cells]
            assert row not in found.faults
        elif not clean or len(cells) != columns:
            assert row in found.faults


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=80).map("".join), st.integers(1, 60), st.sampled_from([20, 200]))
def test_rows_do_not_depend_on_how_the_file_is_cut(text: str, chunk_bytes: int, limit: int) -> None:
    """R-INV-5: any size of chunk and any resumption at a chunk's end give the same records."""
    fmt = replace(load_format("csv"), record_max_bytes=limit)
    data = f"{HEADER}\n".encode() + text.encode() + f"\n{ROW}\n".encode()
    whole = rows(data, fmt)
    found, at = [], 0
    for chunk in read_chunks(io.BytesIO(data), fmt, chunk_bytes=chunk_bytes):
        assert chunk.start == at
        at = chunk.end
        found += chunk.records.to_pylist()
        assert found + rows(data, fmt, start=at) == whole
    assert found == whole


def test_a_file_of_other_columns_through_a_mapping(tmp_path: Path) -> None:
    """CONTRACT, ingest: any CSV through a mapping: names, dates, zone, constants, which rows bill, encoding."""
    path = tmp_path / "carrier.toml"
    path.write_text(
        """
format = "csv"
[csv]
delimiter = ";"
encoding = "gbk"
[call]
call_id = { fields = ["主叫号码", "开始时间"] }
service_number = "被叫号码"
caller_number = "主叫号码"
start_at = "开始时间"
duration_s = "通话时长"
[constants]
answer_rule = "sequential"
[time]
zone = "Asia/Urumqi"
patterns = ["%Y年%m月%d日 %H:%M:%S"]
[duration]
unit = "clock"
[bill_when]
field = "状态"
in = ["接通"]
""",
        "utf-8",
    )
    data = (
        "主叫号码;被叫号码;开始时间;通话时长;状态;客户\n"
        "13800138000;4001170392;2026年11月3日 8:15:00;00:01:01;接通;张三\n"
        "13800138001;4001170392;2026年11月3日 8:15:00;00:00:00;未接;李四\n"
    )
    answered, missed = rows(data.encode("gbk"), load_format(str(path)))
    assert answered["fault"] is None, answered
    assert answered["call_id"] == "13800138000/2026年11月3日 8:15:00"
    assert answered["start_at"] == answered["answer_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert (answered["end_at"], answered["duration_s"]) == (datetime(2026, 11, 3, 2, 16, 1, tzinfo=UTC), 61)
    assert (answered["answer_rule"], json.loads(answered["extra"])) == (
        "sequential",
        {"状态": "接通", "客户": "张三"},
    )
    assert (missed["answer_at"], missed["duration_s"], missed["end_at"]) == (None, 0, missed["start_at"])
