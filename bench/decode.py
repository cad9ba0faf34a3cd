"""Records a second from bytes to Arrow, one core, by format; for JSON Lines beside pyarrow.json and DuckDB.

    python -m bench.decode [RECORDS] [RUNS]

The floors read the same lines into columns of text and do nothing else: no check, no instants, no raw bytes, no
digest. Times are processor time of the best run.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from rating.calendar import instant_text, parse_instant
from streams.decode import load_format, read_chunks
from streams.mapping import COLUMNS

START = parse_instant("2026-11-01T00:00:00+08:00")


def calls(count: int) -> Iterator[dict[str, Any]]:
    """Calls like those of a switch: some unanswered, some withheld."""
    chance = random.Random(1)
    for place in range(count):
        begun = START + timedelta(seconds=place // 4)
        answered = chance.random() < 0.85
        seconds = chance.randrange(1, 900) if answered else 0
        ringing = chance.randrange(2, 20)
        yield {
            "call_id": f"sw1-{place:012d}-{chance.getrandbits(32):08x}",
            "service_number": f"400{chance.randrange(10**7):07d}",
            "caller_number": f"13{chance.randrange(10**9):09d}" if chance.random() < 0.98 else None,
            "caller_area": chance.choice(["010", "0531", "021", None]),
            "start_at": instant_text(begun),
            "answer_at": instant_text(begun + timedelta(seconds=ringing)) if answered else None,
            "end_at": instant_text(begun + timedelta(seconds=ringing + seconds)),
            "duration_s": seconds if answered else None,
            "answering_phone": f"0531{chance.randrange(10**8):08d}" if answered else None,
            "answer_rule": "round_robin" if answered else None,
            "recording_ref": f"rec/2026/11/{place}.wav" if answered else None,
        }


def json_lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def csv_rows(records: list[dict[str, Any]]) -> bytes:
    rows = (",".join(str(value or "") for value in record.values()) for record in records)
    return "\n".join([",".join(COLUMNS), *rows, ""]).encode()


def local(moment: str | None) -> str:
    return (moment or "")[:19].replace("T", " ")


def freeswitch(records: list[dict[str, Any]]) -> bytes:
    """Rows of mod_cdr_csv's default template."""
    rows = []
    for r in records:
        cells = [
            "张三",
            r["caller_number"] or "anonymous",
            r["service_number"],
            "public",
            local(r["start_at"]),
        ]
        cells += [
            local(r["answer_at"]),
            local(r["end_at"]),
            "99",
            str(r["duration_s"] or 0),
            "NORMAL_CLEARING",
        ]
        cells += [r["call_id"], "", "", "PCMA", "PCMA"]
        rows.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join([*rows, ""]).encode()


def asterisk(records: list[dict[str, Any]]) -> bytes:
    """Rows of cdr_csv; for every third call another phone rang too."""
    rows = []
    for place, r in enumerate(records):
        state = '"ANSWERED"' if r["answer_at"] else '"NO ANSWER"'
        caller = r["caller_number"] or ""
        head = f'"","{caller}","{r["service_number"]}","from-trunk","""Zhang"" <{caller}>","SIP/trunk-{place:08x}"'
        tail = f'"DOCUMENTATION","{r["call_id"]}",""'
        if place % 3 == 0:
            rows.append(
                f'{head},"SIP/8001-{place:08x}","Dial","SIP/8001,20","{local(r["start_at"])}",,"{local(r["start_at"])}",0,0,"NO ANSWER",{tail}'
            )
        rows.append(
            f'{head},"SIP/8002-{place:08x}","Dial","SIP/8002,20","{local(r["start_at"])}","{local(r["answer_at"])}","{local(r["end_at"])}",99,{r["duration_s"] or 0},{state},{tail}'
        )
    return "\n".join([*rows, ""]).encode()


def parquet(data: bytes) -> bytes:
    """The calls of JSON Lines as a Parquet file."""
    target = io.BytesIO()
    table = pa.concat_tables(chunk.records for chunk in read_chunks(io.BytesIO(data), load_format("jsonl")))
    pq.write_table(table.select(COLUMNS), target)
    return target.getvalue()


def decode(data: bytes, name: str) -> Callable[[], int]:
    fmt = load_format(name, data[:65_536])
    return lambda: sum(chunk.records.num_rows for chunk in read_chunks(io.BytesIO(data), fmt))


def floor_pyarrow(data: bytes) -> Callable[[], int]:
    schema = pa.schema([(name, pa.int64() if name == "duration_s" else pa.string()) for name in COLUMNS])
    reading = pj.ReadOptions(use_threads=False, block_size=4 << 20)
    parsing = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    return lambda: int(pj.read_json(io.BytesIO(data), reading, parsing).num_rows)


def floor_duckdb(data: bytes) -> Callable[[], int]:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")).astype(np.int32)
    offsets = pa.py_buffer(np.append(np.zeros(1, np.int32), ends + 1))
    lines = pa.table({"line": pa.StringArray.from_buffers(len(ends), offsets, pa.py_buffer(data))})
    types = json.dumps({name: "BIGINT" if name == "duration_s" else "VARCHAR" for name in COLUMNS})
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("lines", lines)
    found = connection.sql(f"SELECT call.* FROM (SELECT json_transform(line, '{types}') AS call FROM lines)")
    return lambda: int(found.to_arrow_table().num_rows)


def main(count: int = 200_000, runs: int = 5) -> None:
    """Prints records a second, and for JSON Lines the floors measured in the same rounds."""
    pa.set_cpu_count(1)
    records = list(calls(count))
    lines = json_lines(records)
    dirty = b"".join(
        b"{broken\n" + line if place % 100 == 0 else line
        for place, line in enumerate(lines.splitlines(keepends=True))
    )
    work = {
        "pyarrow.json, text only": floor_pyarrow(lines),
        "DuckDB json_transform, text only": floor_duckdb(lines),
        "jsonl": decode(lines, "jsonl"),
        "jsonl, 1 % broken lines": decode(dirty, "jsonl"),
        "csv": decode(csv_rows(records), "csv"),
        "freeswitch": decode(freeswitch(records), "freeswitch"),
        "asterisk, 4 rows for 3 calls": decode(asterisk(records), "asterisk"),
        "parquet": decode(parquet(lines), "parquet"),
    }
    best = dict.fromkeys(work, float("inf"))
    for _ in range(runs):
        for name, run in work.items():
            began = time.process_time()
            if run() < count:
                raise SystemExit(f"{name}: records were lost")
            best[name] = min(best[name], time.process_time() - began)
    print(f"{count:,} records, {len(lines) // count} bytes each as JSON, one core")
    for name, seconds in best.items():
        print(f"  {name:34} {count / seconds / 1e6:5.2f} million/s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
