"""`fentan topics` on a real broker."""

from __future__ import annotations

import json
import time
from pathlib import Path

from click.testing import CliRunner

import fentan
from streams.cluster import Cluster
from streams.topics import ACCOUNT_CHANGES, CDRS, TOPICS
from tests.kafka_cluster import send_calls
from tests.ledgers import a_call, a_home


def run(cluster: Cluster, *arguments: str) -> tuple[int, str]:
    options = ["--kafka", cluster.address, "--prefix", cluster.prefix]
    result = CliRunner().invoke(fentan.main, [*arguments, *options])
    return result.exit_code, result.output


def configured(cluster: Cluster, topic: str) -> dict[str, str]:
    from kafka.admin import ConfigResource, ConfigResourceType

    with cluster.admin() as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, cluster.name(topic))])
    text = json.dumps(found, default=str)
    return {name: name for name in ("compact", "604800000") if name in text}


def test_topics_are_made_once_with_what_suits_each(cluster: Cluster) -> None:
    code, said = run(cluster, "topics", "create")
    assert code == 0, said
    assert said.count("made with") == len(TOPICS)
    assert {topic: one.partitions for topic, one in cluster.described(TOPICS).items()} == {
        topic: kind.partitions for topic, kind in TOPICS.items()
    }
    assert "604800000" in configured(cluster, CDRS)
    assert "compact" in configured(cluster, ACCOUNT_CHANGES)
    code, said = run(cluster, "topics", "create", "--partitions", "3")
    assert code == 0
    assert "made with" not in said
    assert f"{cluster.prefix}cdrs: is there, 12 partitions." in said


def test_status_shows_the_lag_in_records_and_seconds(cluster: Cluster, tmp_path: Path) -> None:
    run(cluster, "topics", "create", "--partitions", "2")
    a_home(tmp_path / "home")
    send_calls(cluster, [a_call(1), a_call(2)], partition=1, timestamp=int(time.time() * 1000) - 60_000)
    code, said = run(
        cluster,
        "--home",
        str(tmp_path / "home"),
        "topics",
        "status",
        "--format",
        "json",
    )
    assert code == 0, said
    rows = {(row["topic"].removeprefix(cluster.prefix), row["partition"]): row for row in json.loads(said)}
    assert rows["cdrs", 0]["lag_records"] == 0
    assert 60 <= rows["cdrs", 1].pop("lag_s") < 120
    assert rows["cdrs", 1] == {
        "topic": f"{cluster.prefix}cdrs", "partition": 1, "first_offset": 0, "end_offset": 2, "ledger_offset": 0,
        "group_offset": None, "lag_records": 2,
    }  # fmt: skip
    assert rows["alerts", 0]["lag_records"] is None


def test_a_cluster_without_our_topics_says_what_to_do(cluster: Cluster, tmp_path: Path) -> None:
    a_home(tmp_path / "home")
    code, said = run(cluster, "--home", str(tmp_path / "home"), "topics", "status")
    assert code == 4
    assert "run `fentan topics create` first" in " ".join(said.split())


def test_an_address_that_is_none_is_bad_usage() -> None:
    code, said = run(Cluster("nonsense", ""), "topics", "create")
    assert (code, '"nonsense" is no broker\'s address: write HOST:PORT' in said) == (2, True)
    result = CliRunner().invoke(fentan.main, ["topics", "create"], env={"FENTAN_KAFKA": ""})
    assert (result.exit_code, "--kafka HOST:PORT" in result.output) == (2, True)
