"""`fentan collect`: switch files into cdrs on a real broker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fentan
from streams import collect as collecting
from streams.cluster import BrokerFault, Cluster
from streams.messages import MessageDecoder
from streams.topics import CDRS
from streams.town import make_town
from tests.kafka_cluster import make_topics, read_all
from tests.ledgers import NUMBER, a_call, calls


def collect(cluster: Cluster, folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        fentan.main,
        ["collect", str(folder), "--once", "--kafka", cluster.address, "--prefix", cluster.prefix, *options],
    )
    return result.exit_code, result.output.strip()


def test_a_file_is_sent_once_and_goes_on_where_it_ended(cluster: Cluster, tmp_path: Path) -> None:
    """F-10: by its content, whatever its name; keyed by service number."""
    make_topics(cluster)
    (tmp_path / "a.jsonl").write_bytes(calls(0, 5))
    assert collect(cluster, tmp_path) == (0, "5 call records of 1 file sent.")
    assert collect(cluster, tmp_path) == (0, "0 call records of 0 files sent.")
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    (tmp_path / "b.jsonl").write_bytes(calls(0, 7))
    (tmp_path / ".half.tmp").write_bytes(calls(0, 9))
    assert collect(cluster, tmp_path) == (0, "2 call records of 1 file sent.")
    got = read_all(cluster, CDRS)
    assert [one.value for one in got] == [a_call(place).rstrip() for place in range(7)]
    assert {one.key for one in got} == {NUMBER}


def test_files_of_any_switch_become_what_the_contract_says(cluster: Cluster, tmp_path: Path) -> None:
    """F-09: what cannot be read is sent with its bytes and what is wrong with it; nothing is dropped."""
    make_topics(cluster)
    town = make_town(tmp_path / "town", calls=400, months=1, seed=3, last_month="2026-10")
    spool = tmp_path / "spool"
    spool.mkdir()
    records = 0
    for place, file in enumerate(town.months[0].call_files):
        shutil.copy(file.path, spool / f"{place}-{file.path.name}")
        records += file.records
    code, said = collect(cluster, spool)
    assert code == 0, said
    assert said.startswith(f"{records} call records")
    got = read_all(cluster, CDRS)
    assert len(got) == records
    headers = [[(name, value.encode()) for name, value in one.headers.items()] for one in got]
    rows, _ = MessageDecoder().records([one.value for one in got], headers, np.arange(len(got)))
    assert rows.num_rows == records
    sure = [row for row in rows.to_pylist() if row["fault"] is None]
    assert len(sure) > records * 0.9
    assert all(row["start_at"] and row["end_at"] for row in sure)


def test_a_file_is_not_done_before_kafka_has_acknowledged(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-20: while the broker does not take it, the place stays, and the next run sends it again."""
    make_topics(cluster)
    (tmp_path / "a.jsonl").write_bytes(calls(0, 3))
    monkeypatch.setattr(collecting, "_PATIENCE_S", 1)
    nowhere = Cluster("127.0.0.1:1", cluster.prefix)
    producer = nowhere.producer(message_timeout_ms=1000)
    with pytest.raises(BrokerFault, match="goes on where Kafka had acknowledged"):
        collecting._send(producer, "cdrs", iter([collecting.Message(None, b"{}", [])]))
    assert not (tmp_path / collecting.PLACES).exists()
    assert collect(cluster, tmp_path)[1] == "3 call records of 1 file sent."
    assert set(json.loads((tmp_path / collecting.PLACES).read_text()).values()) >= {len(calls(0, 3))}


def test_a_file_that_is_no_call_file_is_said_and_the_others_are_sent(
    cluster: Cluster, tmp_path: Path
) -> None:
    make_topics(cluster)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "b.jsonl").write_bytes(calls(0, 1))
    code, said = collect(cluster, tmp_path)
    assert code == 1
    assert "1 call records of 1 file sent." in said
    assert "unpack it" in " ".join(said.split())
    assert collect(cluster, tmp_path / "nothing")[0] == 2
