"""A real Kafka for the tests that name it: FENTAN_KAFKA=host:port, else a node of our own, started once a run.

Where neither is to be had, these tests are left out, and the run says so in one line.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import jars
from broker.__main__ import runs
from broker.node import Node, keep_archive
from streams.cluster import Cluster
from tests.kafka_cluster import a_prefix

OWN_BROKER = {"own_broker", "can_start_brokers"}
NEED_KAFKA = {"kafka_address", "cluster", *OWN_BROKER}


def _lacks(names: set[str]) -> str | None:
    """What these fixtures would need and is not here."""
    if not names & NEED_KAFKA or (not names & OWN_BROKER and os.environ.get("FENTAN_KAFKA")):
        return None
    return jars.missing()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _lacks(set(getattr(item, "fixturenames", ())))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lacks = jars.missing()
    if lacks:
        which = "tests that kill their broker" if os.environ.get("FENTAN_KAFKA") else "tests on a real Kafka"
        terminalreporter.write_line(
            f"Left out: the {which} (tests/test_kafka_*.py), for this machine lacks {lacks}; install what is missing"
            + ("." if os.environ.get("FENTAN_KAFKA") else ", or set FENTAN_KAFKA=host:port.")
        )


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker's address. The processes of one run share a node: the first starts it, the last one ends it."""
    given = os.environ.get("FENTAN_KAFKA")
    if given:
        yield given
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "kafka"
    users, place = folder / "users", folder / "address"
    node = Node(folder)
    with jars.locked("node", folder):
        count = int(users.read_text()) if users.exists() else 0
        if not count:
            node.start()
            assert node.process is not None
            place.write_text(f"{node.address} {node.process.pid}")
        users.write_text(str(count + 1))
    address, pid = place.read_text().split()
    yield address
    with jars.locked("node", folder):
        count = int(users.read_text()) - 1
        users.write_text(str(count))
        if not count:
            _end(int(pid), folder)
    if node.process is not None:
        node.process.returncode = 0  # whoever uses it last ends it


def _end(pid: int, folder: Path) -> None:
    """A node that a process of this run has started; the first one ever leaves its archive of classes."""
    if jars.ARCHIVE.exists():
        os.kill(pid, signal.SIGKILL)
        return
    os.kill(pid, signal.SIGTERM)
    while runs(pid):
        time.sleep(0.1)
    keep_archive(folder)


@pytest.fixture
def cluster(kafka_address: str) -> Cluster:
    """The broker, with topics and groups of this test's own."""
    return Cluster(kafka_address, a_prefix())


@pytest.fixture
def can_start_brokers() -> None:
    """This test starts nodes of its own."""


@pytest.fixture(scope="module")
def mortal_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """For `own_broker`: to make a node takes longer than to start it again."""
    node = Node(tmp_path_factory.mktemp("own") / "kafka")
    yield node
    node.kill()


@pytest.fixture
def own_broker(mortal_node: Node) -> Node:
    """A node that this test may kill; it runs."""
    if mortal_node.process is None:
        mortal_node.start()
    return mortal_node
