"""Mappings: what a MAPPING.toml may say, and that a wrong one is refused with the key and what to do."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.decode import FormatError, load_format, read_chunks
from streams.mapping import COLUMNS

GOOD = """
format = "csv"
merge = true
[csv]
header = "no"
columns = ["id", "number", "begin", "finish", "state", "secs"]
[call]
call_id = "id"
service_number = "number"
start_at = "begin"
end_at = "finish"
duration_s = "secs"
[time]
zone = "UTC"
patterns = ["rfc3339", "%d.%m.%Y %H:%M"]
[bill_when]
field = "state"
in = ["ok"]
"""


def load(folder: Path, text: str) -> Any:
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    return load_format(str(path))


def test_a_mapping_is_read(tmp_path: Path) -> None:
    """CONTRACT, ingest: any CSV through a mapping."""
    fmt = load(tmp_path, GOOD)
    data = b"7,4001170392,3.11.2026 2:15,2026-11-03T10:16:01+08:00,ok,61\n8,4001170392,3.11.2026 2:15,3.11.2026 2:16,no,0\n"
    [chunk] = read_chunks(io.BytesIO(data), fmt)
    answered, missed = chunk.records.to_pylist()
    assert (answered["fault"], answered["start_at"]) == (None, datetime(2026, 11, 3, 2, 15, tzinfo=UTC))
    assert answered["answer_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert (missed["answer_at"], missed["duration_s"]) == (None, 0)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("merge = true", "merge = 1", "merge is 1; give true or false"),
        ("merge = true", "color = 3", "color is unknown; use one of format"),
        ('format = "csv"', 'format = "xml"', "format is 'xml'; use one of csv, jsonl"),
        ('format = "csv"', "", "format is missing"),
        ('format = "csv"', "format = ", "cannot be read as TOML"),
        ('format = "csv"', 'format = "jsonl"', "csv is of no use for JSON Lines"),
        ('header = "no"', 'heading = "no"', "csv.heading is unknown"),
        ('header = "no"', 'header = "often"', "csv.header is 'often'"),
        ('header = "no"', 'encoding = "utf-16"', "csv.encoding is 'utf-16'"),
        ('header = "no"', 'delimiter = ",,"', "csv.delimiter is ',,'"),
        ('header = "no"', 'delimiter = "|"\nencoding = "gb18030"', "half of a character"),
        ('header = "no"', 'quote = ","', "is the quote too"),
        ('"state", "secs"]', '"state", "state"]', "names a column twice"),
        ('columns = ["id", "number", "begin", "finish", "state", "secs"]', "", "csv.columns is required"),
        ('call_id = "id"', "", "call.call_id is required"),
        ('call_id = "id"', 'call_id = "ID"', '"ID" is not among csv.columns'),
        ('call_id = "id"', "call_id = 3", "call.call_id is 3; give a list of texts"),
        ('call_id = "id"', 'call_id = { field = "id", match = "(" }', "call.call_id.match is no expression"),
        ('call_id = "id"', 'call_id = { field = "id", match = "(x)" }', "needs one group named value"),
        ('call_id = "id"', 'call_id = { name = "id" }', "call.call_id.name is unknown"),
        ('call_id = "id"', 'call_id = "id"\ncaller = "id"', "call.caller is unknown; use one of call_id"),
        ('duration_s = "secs"', 'duration_s = "secs"\n[constants]\ncall_id = "x"', "stands in [call] too"),
        ('duration_s = "secs"', 'duration_s = "secs"\n[constants]\nrate = "x"', "constants.rate is unknown"),
        ('end_at = "finish"\nduration_s = "secs"', "", "call.end_at is required, unless duration_s is there"),
        ('zone = "UTC"', 'zone = "Asia/Peking"', '"Asia/Peking" is no time zone'),
        ('zone = "UTC"', 'zone = "../../etc/passwd"', "is no time zone"),
        ('"%d.%m.%Y %H:%M"', '"%d.%m.%Y"', "must hold %Y, %m, %d, %H and %M"),
        ("[time]", '[duration]\nunit = "hours"\n[time]', "duration.unit is 'hours'"),
        ('field = "state"', "", "bill_when.field is missing"),
        ('in = ["ok"]', "in = []", "bill_when.in is empty"),
        ("merge = true", "merge = true\nrecord_max_bytes = 5", "record_max_bytes is 5"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_with_its_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Issue: a mapping that is wrong is refused with file, key, reason and what to do."""
    assert old in GOOD
    with pytest.raises(FormatError) as refused:
        load(tmp_path, GOOD.replace(old, new))
    assert says in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "mapping.toml"))
    assert str(refused.value).endswith(".")


def test_a_format_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no format"):
        load_format("xml")
    with pytest.raises(FormatError, match="cannot be read"):
        load_format(str(tmp_path / "none.toml"))


def test_every_shipped_format_names_columns_of_the_contract() -> None:
    for name in ("freeswitch", "asterisk", "asterisk_custom"):
        assert load_format(name).call.keys() <= set(COLUMNS)


def test_json_lines_through_a_mapping_take_paths_and_either_type(tmp_path: Path) -> None:
    """CONTRACT, ingest: any JSON Lines through a mapping."""
    fmt = load(
        tmp_path,
        """
format = "jsonl"
empty = ["-"]
[call]
call_id = "variables.uuid"
service_number = "callflow.0.number"
caller_number = "/variables/sip.from"
start_at = "times.start"
end_at = "times.end"
duration_s = "billsec"
recording_ref = "file"
[time]
patterns = ["epoch_s"]
[duration]
unit = "fractions"
""",
    )
    record: dict[str, Any] = {
        "core": {"x": [1, {"y": "z"}]},
        "variables": {"uuid": "u1", "sip.from": "-"},
        "callflow": [{"number": 4001170392}],
        "times": {"start": 1793672100, "end": "1793672161"},
        "billsec": "60.2",
        "file": None,
    }
    lines = [json.dumps(record | {"billsec": str(place), "more": place}) for place in range(100)]
    lines[50] = json.dumps(record | {"times": {"start": [1], "end": 1793672161}})
    [chunk] = read_chunks(io.BytesIO("\n".join([json.dumps(record), *lines]).encode()), fmt)
    first, *others = chunk.records.to_pylist()
    assert first["fault"] is None, first["fault_detail"]
    assert (first["call_id"], first["service_number"], first["caller_number"]) == ("u1", "4001170392", None)
    assert (first["start_at"], first["duration_s"]) == (datetime(2026, 11, 3, 2, 15, tzinfo=UTC), 61)
    assert first["answer_at"] == datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert json.loads(first["extra"]).keys() == {"core", "variables", "callflow", "times"}
    assert [row["duration_s"] for row in others[:50]] == list(range(50))
    assert [place for place, row in enumerate(others) if row["fault"]] == [50]
    assert "times.start" in others[50]["fault_detail"]
