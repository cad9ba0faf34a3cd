"""The outbox: alerts in the order of `events`, each once, whatever is committed or rewritten meanwhile."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ledger.charge import charge
from ledger.home import Home
from ledger.log import Log
from ledger.maintain import maintain
from ledger.outbox import Alert, Outbox
from ledger.schema import EVENTS
from ledger.submit import Line, submit
from ledger.tail import Tail, seq_at
from rating.calendar import parse_instant
from streams.decode import load_format, read_chunks
from tests.billed import billed_ledger
from tests.ledgers import ARRIVED, a_call, a_home


def own_log(home: Home) -> Log:
    """A reader's own view of the table."""
    return Log.open(home.events.folder, EVENTS)


def all_of(outbox: Outbox) -> list[Alert]:
    """What there is now."""
    return [alert for found in iter(outbox.fresh, []) for alert in found]


def raise_alerts(home: Home) -> None:
    """Calls that cost more than the customer has, then a payment that clears it."""
    stream = b"".join(a_call(place, minutes=1400) for place in range(3))
    for chunk in read_chunks(io.BytesIO(stream), load_format("jsonl", stream)):
        charge(home, chunk.records, "test", ARRIVED, {})
    paid = {"command_id": "pay", "at": "2026-09-01T03:00:00+08:00", "kind": "receive_payment",
            "account": "customer/C1", "amount": "1000.00", "reference": "slip"}  # fmt: skip
    submit(home, [Line(json.dumps(paid).encode())], "test", ARRIVED, lambda _: {})


def in_view(log: Log) -> list[str]:
    rows = log.read_since(0, ["command_id", "kind"])
    return [row["command_id"] for row in rows.to_pylist() if row["kind"] == "alert"]


def test_each_alert_is_given_once_in_order_as_it_is_committed(tmp_path: Path) -> None:
    """R-ARR-1, R-ARR-3: only what is new is read, and nothing twice."""
    home = billed_ledger(tmp_path).home
    outbox = Outbox(own_log(home), 0)
    first = all_of(outbox)
    assert [alert.alert_id for alert in first] == in_view(home.events) != []
    assert outbox.fresh() == []
    later = Outbox(own_log(home), first[-1].seq)
    assert later.fresh() == [first[-1]]
    assert later.next_seq == home.events.next_seq


def test_an_alert_says_what_the_view_says(tmp_path: Path) -> None:
    """R-ARR-1."""
    home = billed_ledger(tmp_path).home
    alert = Outbox(own_log(home), 0).fresh()[0]
    assert asdict(alert.told()) == {
        "alert_id": f"{alert.account}/{alert.kind}/1",
        "at": alert.told().at,
        "account": alert.account,
        "kind": alert.kind,
        "balance": alert.balance,
        "seq": alert.seq,
        "episode": alert.episode,
        "since": alert.since,
        "service_number": alert.service_number,
    }
    assert parse_instant(alert.told().at) == alert.at


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_a_tail_loses_nothing_when_files_are_rewritten_under_it(tmp_path: Path, batch_rows: int) -> None:
    """F-21: maintenance between two looks, in the middle of a batch."""
    home = billed_ledger(tmp_path).home
    tail = Tail(own_log(home), 0, ["kind"], batch_rows)
    seqs = tail.fresh().column("seq").to_pylist()
    maintain(own_log(home))
    while rows := tail.fresh():
        seqs += rows.column("seq").to_pylist()
    assert seqs == list(range(home.events.next_seq))


def test_a_time_is_the_seq_of_the_first_commit_after_it(tmp_path: Path) -> None:
    home = billed_ledger(tmp_path).home
    rows = home.events.read_since(0, ["seq", "received_at"]).to_pylist()
    instant = parse_instant("2026-09-15T10:30:00+08:00")
    expected = next(row["seq"] for row in rows if row["received_at"] > instant)
    assert seq_at(home.events, instant) == expected


def test_phone_numbers_are_masked_and_ids_stay_different() -> None:
    """F-27: a customer whose id is a mobile number."""
    told = [
        Alert(
            seq, f"customer/{phone}/arrears/1", ARRIVED, ARRIVED, f"customer/{phone}", "arrears", "-1.00"
        ).told()
        for seq, phone in ((7, "13812345678"), (8, "13899995678"))
    ]
    assert [one.account for one in told] == ["customer/138****5678"] * 2
    assert [one.alert_id for one in told] == [
        "customer/138****5678/arrears/1/7",
        "customer/138****5678/arrears/1/8",
    ]


def test_alerts_come_while_another_process_writes(tmp_path: Path) -> None:
    """R-ARR-3: the reader's own log sees what another one committed."""
    home = a_home(tmp_path)
    outbox = Outbox(own_log(home), home.events.next_seq)
    assert outbox.fresh() == []
    raise_alerts(home)
    assert [alert.kind for alert in all_of(outbox)] == ["low_balance", "arrears", "suspended", "cleared"]
