"""What each call costs: tables a finance clerk can read, and the same sums done plainly with Decimals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pytest

from ledger.schema import CALLS
from rating.calls import RATED, rate
from rating.catalogue import Catalogue
from rating.reasons import Reason
from rating.records import RECORD
from tests.rating_records import (
    HEAD,
    NUMBER,
    a_call,
    a_catalogue,
    an_active,
    caller_rates,
    cells,
    instant,
    records,
    some_terms,
)

ARRIVED = instant("2026-11-20 12:00")

TOWN = f"""
    number     | facet  | from             | says
    {an_active(NUMBER, "0.15")}
    {an_active("4008123456", "0.30")}
    {an_active("8008101234", "0.20")}
    {an_active("95588", "0.20")}
    4008123456 | rate   | 2026-10-01 00:00 | 0.1234 per 6 s
    4008123456 | state  | 2026-10-20 00:00 | suspended
    4008123456 | state  | 2026-11-01 00:00 | frozen
    4008123456 | state  | 2026-11-10 00:00 | active
    4008123456 | holder | 2026-11-10 00:00 | C2 of P2
    4001112222 | class  | 2026-08-01 00:00 | AAAA
    4001112222 | state  | 2026-08-01 00:00 | held
"""
WHO = {"400": "4008123456", "our": NUMBER, "800": "8008101234", "955": "95588", "held": "4001112222"}


@pytest.fixture(scope="module")
def town() -> Catalogue:
    return a_catalogue(TOWN)


def one(catalogue: Catalogue, arrived: datetime = ARRIVED, **values: Any) -> dict[str, Any]:
    """What became of one call, as a row of values."""
    row: dict[str, Any] = rate(records(a_call(**values)), catalogue, arrived).to_pylist()[0]
    return row


def yuan(amount: Decimal | None) -> str:
    return "?" if amount is None else str(amount.normalize() if amount else 0)


# the bill

BILL = """
    rule              | number | caller         | start               | talks | month   | owner    | billed | fee    | caller pays | tags
    R-CALL-3          | our    | 13905311234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | 0.16        |
    R-CALL-3 minute   | our    | 13905311234    | 2026-08-03 09:00:00 | 60    | 2026-08 | C1 of P1 | 60     | 0.15   | 0.08        |
    R-CALL-3 second   | our    | 13905311234    | 2026-08-03 09:00:00 | 1     | 2026-08 | C1 of P1 | 60     | 0.15   | 0.08        |
    R-CALL-3 F-02     | our    | 13905311234    | 2026-08-03 09:00:00 | 0     | 2026-08 | C1 of P1 | 0      | 0      | 0           |
    R-CALL-3 rang out | our    | 13905311234    | 2026-08-03 09:00:00 | -     | 2026-08 | C1 of P1 | 0      | 0      | 0           |
    R-CALL-3 six s    | 400    | 13905311234    | 2026-10-03 09:00:00 | 1     | 2026-10 | C1 of P1 | 6      | 0.0123 | 0.08        |
    R-CALL-3 half up  | 400    | 13905311234    | 2026-10-03 09:00:00 | 13    | 2026-10 | C1 of P1 | 18     | 0.037  | 0.08        |
    R-CALL-3 a day    | our    | 13905311234    | 2026-08-03 09:00:00 | 86400 | 2026-08 | C1 of P1 | 86400  | 216    | 115.2       |
    R-CALL-2 default  | our    | 01065551234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | 0.2         |
    R-CALL-2 Lhasa    | our    | 08916551234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | 0.5         |
    R-CALL-2 bundled  | our    | 17015311234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | 0           |
    R-CALL-2 withheld | our    |                | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | 0.2         |
    R-CALL-4 abroad   | our    | +1 2125551234  | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | ?           | outside_mainland
    R-CALL-4 HK       | our    | 0085291234567  | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.3    | ?           | outside_mainland
    R-CALL-5 fixed    | 800    | 053188881234   | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.56   | 0           |
    R-CALL-5 mobile   | 800    | 13905311234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.56   | 0           | mobile_caller_to_800
    R-CALL-5 bundled  | 800    | 17015311234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.6    | 0           | mobile_caller_to_800
    R-CALL-5 abroad   | 800    | 0085291234567  | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0.4    | ?           | outside_mainland
    R-CALL-5 95       | 955    | 13905311234    | 2026-08-03 09:00:00 | 61    | 2026-08 | C1 of P1 | 120    | 0      | 0.16        |
    R-CALL-8 F-12     | 400    | 13905311234    | 2026-09-30 23:59:00 | 300   | 2026-09 | C1 of P1 | 300    | 1.5    | 0.4         |
    R-CALL-8 midnight | 400    | 13905311234    | 2026-10-01 00:00:00 | 300   | 2026-10 | C1 of P1 | 300    | 0.617  | 0.4         |
    F-07 before       | 400    | 13905311234    | 2026-11-09 23:59:59 | 6     | 2026-11 | C1 of P1 | 6      | 0.0123 | 0.08        | frozen
    F-07 after        | 400    | 13905311234    | 2026-11-10 00:00:00 | 6     | 2026-11 | C2 of P2 | 6      | 0.0123 | 0.08        |
    suspended         | 400    | 0085291234567  | 2026-10-20 00:00:00 | 6     | 2026-10 | C1 of P1 | 6      | 0.0123 | ?           | outside_mainland suspended
"""


@pytest.mark.parametrize("line", cells(BILL), ids=lambda line: line["rule"])
def test_a_call_costs_what_the_table_says(town: Catalogue, line: dict[str, str]) -> None:
    """R-CALL-1 … R-CALL-5, R-CALL-8, F-02, F-07, F-12: one call a line."""
    talks_s = None if line["talks"] == "-" else int(line["talks"])
    row = one(
        town,
        service_number=WHO[line["number"]],
        caller_number=line["caller"] or None,
        start=line["start"],
        talks_s=talks_s,
    )
    assert (row["outcome"], row["reason"], row["detail"], row["raw"]) == ("rated", None, None, None)
    assert row["duration_s"] == (talks_s or 0)
    assert {
        "month": row["month"],
        "owner": f"{row['customer_id']} of {row['provider_id']}",
        "billed": str(row["billed_s"]),
        "fee": yuan(row["owner_fee"]),
        "caller pays": yuan(row["caller_estimate"]),
        "tags": " ".join(row["tags"]),
    } == {name: line[name] for name in ("month", "owner", "billed", "fee", "caller pays", "tags")}


def test_the_rate_beside_a_call_is_the_one_it_was_charged_at(town: Catalogue) -> None:
    """R-CALL-3, R-CALL-5: none for a 95 number, whose owner pays nothing."""
    assert one(town)["rate"] == Decimal("0.1500")
    assert one(town, service_number="95588")["rate"] == 0


def test_a_detail_shows_region_number_start_duration_and_fee(town: Catalogue) -> None:
    """R-CALL-7, R-NUM-8: and keeps which rule and phone answered, and what rating does not know."""
    row = one(
        town,
        caller_number="+86 531 8888-1234",
        service_number="400-117-0392",
        extra='{"trunk": "7"}',
        answering_phone="8001",
        answer_rule="by_area",
        recording_ref="r/1.wav",
    )
    assert (row["caller_area"], row["caller_number"], row["service_number"]) == (
        "0531",
        "053188881234",
        NUMBER,
    )
    assert (row["start_at"], row["duration_s"], row["owner_fee"]) == (
        instant("2026-08-03 09:00"),
        61,
        Decimal("0.3000"),
    )
    assert (row["extra"], row["answering_phone"], row["answer_rule"]) == ('{"trunk": "7"}', "8001", "by_area")
    assert (row["recording_ref"], row["call_id"], row["source_pos"]) == ("r/1.wav", "c1", 7)


def test_another_office_or_answering_phone_changes_nothing_on_the_bill(town: Catalogue) -> None:
    """R-NUM-7."""
    moved = one(town, answering_phone="02161234567", answer_rule="by_area")
    assert {**moved, "answering_phone": None, "answer_rule": None} == one(town)


def test_an_area_that_came_with_the_record_stands(town: Catalogue) -> None:
    """R-CALL-2, R-CALL-4."""
    assert one(town, caller_area="891")["caller_area"] == "0891"
    assert one(town, caller_area="891")["caller_estimate"] == Decimal("0.5000")
    assert one(town, caller_area=" ")["caller_area"] == "0531"
    abroad = one(town, caller_area="+852", caller_number=None)
    assert (abroad["caller_area"], abroad["caller_estimate"], abroad["tags"]) == (
        "00852",
        None,
        ["outside_mainland"],
    )


def test_what_callers_pay_is_dated_by_the_calls_start() -> None:
    """R-CALL-2: bundles too; before the first entry the first holds."""
    terms = some_terms(
        caller_rates("2026-08-01 00:00", default="0.10", bundled=("1390531",)),
        caller_rates("2026-09-01 00:00", default="0.12", bundled=(), a0531="0.20"),
    )
    catalogue = a_catalogue(HEAD + an_active(since="2026-07-01 00:00"), terms)
    calls = [a_call(start=f"{day} 09:00:00") for day in ("2026-07-31", "2026-08-31", "2026-09-01")]
    calls += [call | {"caller_number": "01065551234"} for call in calls]
    found = rate(records(*calls), catalogue, ARRIVED)["caller_estimate"].to_pylist()
    assert [yuan(amount) for amount in found] == ["0", "0", "0.4", "0.2", "0.2", "0.24"]


# durations

DURATIONS = """
    answered     | ended        | delivered | becomes
    09:00:05     | 09:01:06     | 61        | 61
    09:00:05     | 09:01:06     | 60        | 60
    09:00:05     | 09:01:06     | 62        | 62
    09:00:05     | 09:01:06     | 63        | BAD_INTERVAL The duration is 63 s, but from 2026-08-03 09:00:05 to 2026-08-03 09:01:06 it is 61 s
    09:00:05     | 09:01:06     | 59        | BAD_INTERVAL The duration is 59 s, but from
    09:00:05     | 09:01:06     |           | 61
    09:00:05     | 09:01:06.001 |           | 62
    09:00:05     | 09:01:06.001 | 60        | BAD_INTERVAL The duration is 60 s, but from 2026-08-03 09:00:05 to 2026-08-03 09:01:06.001000 it is 61.001000 s
    09:00:05     | 09:01:06     | -1        | BAD_INTERVAL The duration of -1 s is negative
    09:00:05     | 09:00:05     | 0         | 0
    09:00:05     | 08:59:00     | 0         | BAD_INTERVAL The call ends at 2026-08-03 08:59:00, before its start at 2026-08-03 09:00:00
    08:59:59     | 09:01:06     | 67        | BAD_INTERVAL The call was answered at 2026-08-03 08:59:59, before its start at
    09:01:07     | 09:01:06     |           | BAD_INTERVAL The call was answered at 2026-08-03 09:01:07, after its end at
             |   09:01:06     |           | 0
             |   09:01:06     | 0         | 0
             |   09:01:06     | 1         | BAD_INTERVAL The duration is 1 s, but there is no answer_at
    09:00:05     | 09:01:06     | 86401               | DURATION_LIMIT The duration of 86401 s is over the limit of 86400 s
    09:00:05     | 09:01:06     | 9223372036854775807 | DURATION_LIMIT The duration of 9223372036854775807 s is over
    09:00:05     | 09:01:06     | 18446744073710      | DURATION_LIMIT The duration of 18446744073710 s is over
"""


@pytest.mark.parametrize("line", cells(DURATIONS), ids=lambda line: " ".join(line.values())[:60])
def test_a_duration_agrees_with_the_times_or_is_rejected(town: Catalogue, line: dict[str, str]) -> None:
    """R-CALL-3, F-02, F-03, F-04: the start is 09:00:00."""
    row = one(
        town,
        answer_at=instant(f"2026-08-03 {line['answered']}") if line["answered"] else None,
        end_at=instant(f"2026-08-03 {line['ended']}"),
        duration_s=int(line["delivered"]) if line["delivered"] else None,
    )
    if line["becomes"].isdigit():
        assert (row["outcome"], row["duration_s"]) == ("rated", int(line["becomes"]))
    else:
        reason, _, sentence = line["becomes"].partition(" ")
        assert (row["outcome"], row["reason"]) == ("rejected", reason)
        assert row["detail"].startswith(sentence)
        assert row["duration_s"] == (int(line["delivered"]) if line["delivered"] else None)


def test_a_call_longer_than_a_day_is_over_the_limit_without_wraparound(town: Catalogue) -> None:
    """F-04: from the times alone, and with instants at the ends of int64."""
    assert one(town, talks_s=86_401, duration_s=None)["reason"] == "DURATION_LIMIT"
    ends = pa.array([-(2**63), 2**63 - 1, 0], pa.int64()).cast(pa.timestamp("us", "UTC"))
    for start in range(3):
        for answer in range(3):
            for end in range(3):
                table = records(a_call(duration_s=None))
                for name, at in (("start_at", start), ("answer_at", answer), ("end_at", end)):
                    place = RECORD.get_field_index(name)
                    table = table.set_column(place, RECORD.field(place), ends.slice(at, 1))
                row = rate(table, town, ARRIVED).select(["outcome", "reason", "owner_fee"]).to_pylist()[0]
                assert row["outcome"] == "rejected"
                assert row["reason"] in {"BAD_INTERVAL", "DURATION_LIMIT", "CLOCK_SKEW", "TOO_LATE"}


def test_totals_over_a_rate_change_are_exact_to_the_last_digit(town: Catalogue) -> None:
    """F-12, R-INV-4: a call a second through the midnight at which the rate changes."""
    start = instant("2026-09-30 23:50:00")
    calls = [
        a_call(service_number="4008123456", talks_s=second % 187, call_id=f"c{second}")
        | {
            "start_at": (at := start + timedelta(seconds=second)),
            "answer_at": at,
            "end_at": at + timedelta(seconds=second % 187),
        }
        for second in range(1200)
    ]
    total = sum(rate(records(*calls), town, ARRIVED)["owner_fee"].to_pylist())
    plainly = Decimal(0)
    for second in range(1200):
        talks_s = second % 187
        if second < 600:
            plainly += Decimal("0.30") * -(-talks_s // 60)
        else:
            exact = Decimal("0.1234") * (-(-talks_s // 6) * 6) / 60
            plainly += exact.quantize(Decimal("0.0001"), ROUND_HALF_UP)
    assert total == plainly


# rejects

REJECTS = """
    fault | what is wrong                                   | reason         | detail
    F-01  | start=2026-11-20 12:05:01                       | CLOCK_SKEW     | The call starts at 2026-11-20 12:05:01, but arrived at 2026-11-20 12:00:00; set the switch's clock
    F-01  | start=2026-11-20 12:04:30                       | CLOCK_SKEW     | The call ends at 2026-11-20 12:05:36, but arrived at 2026-11-20 12:00:00; set
    F-05  | service_number=4001234567                       | UNKNOWN_NUMBER | The number 4001234567 is unknown; send add_number and its contract, then `fentan retry`.
    F-06  | service_number=4001112222                       | NO_PLAN        | No plan for 4001112222 on 2026-08-03; send the activation that covers it, then `fentan retry`.
    F-06  | start=2026-07-31 23:59:59                       | NO_PLAN        | No plan for 4001170392 on 2026-07-31;
    late  | start=2026-04-30 23:59:59                       | TOO_LATE       | The call of 2026-04-30 arrived on 2026-11-20, more than 6 months after its own;
    F-08  | service_number=010-4001170392                   | BAD_NUMBER     | "0104001170392" has an area code, which a service number never has; send 4001170392.
    F-08  | service_number=400117039x                       | BAD_NUMBER     | "400117039x" is not a service number; send ten digits
    empty | service_number=                                 | MISSING_FIELD  | The service_number is missing; add the field at the source
    null  | service_number=null                             | MISSING_FIELD  | The service_number is missing;
    empty | call_id=                                        | MISSING_FIELD  | The call_id is missing;
    null  | call_id=null                                    | MISSING_FIELD  | The call_id is missing;
    null  | start_at=null                                   | MISSING_FIELD  | The start_at is missing;
    null  | end_at=null                                     | MISSING_FIELD  | The end_at is missing;
    long  | call_id=00000000000000000000000000000000000000000000000000000000000000065 | UNREADABLE | The call_id has more than 64 characters;
    bytes | fault=UNREADABLE fault_detail=Not_JSON.         | UNREADABLE     | Not_JSON.
    bytes | fault=UNREADABLE                                | UNREADABLE     | The record could not be read; mend the file
    bytes | fault=MISSING_FIELD fault_detail=No_end_at.     | MISSING_FIELD  | No_end_at.
"""


@pytest.mark.parametrize(
    "line", cells(REJECTS), ids=lambda line: f"{line['fault']} {line['what is wrong']}"[:50]
)
def test_a_reject_has_a_reason_a_sentence_and_its_bytes(town: Catalogue, line: dict[str, str]) -> None:
    """F-01, F-05, F-06, F-08, R-INV-1: and says what to do."""
    wrong: dict[str, Any] = {}
    for part in line["what is wrong"].replace("2026-11-20 ", "2026-11-20T").split():
        name, _, value = part.partition("=")
        wrong[name] = None if value == "null" else value
    if " " in line["what is wrong"] and "start=" in line["what is wrong"]:
        wrong = {"start": line["what is wrong"].removeprefix("start=")}
    row = one(town, **wrong)
    assert (row["outcome"], row["reason"]) == ("rejected", line["reason"])
    assert row["detail"].startswith(line["detail"])
    assert (row["raw"], row["month"], row["tags"]) == (b"raw", "2026-11", [])
    nothing = ("customer_id", "provider_id", "billed_s", "rate", "owner_fee", "caller_estimate")
    assert [row[name] for name in nothing] == [None] * 6
    delivered = a_call(**wrong)
    kept = ("call_id", "service_number", "start_at", "answer_at", "end_at", "duration_s", "source_pos")
    assert [row[name] for name in kept] == [delivered[name] for name in kept]


def test_edges_of_the_windows_are_inside() -> None:
    """F-01: exactly at the tolerance; the first microsecond of the sixth month before the arrival's."""
    catalogue = a_catalogue(HEAD + an_active(since="2026-01-01 00:00"))
    at_the_edge = one(catalogue, start="2026-11-20 12:05:00", talks_s=None, rings_s=0)
    assert (at_the_edge["outcome"], at_the_edge["month"]) == ("rated", "2026-11")
    oldest = one(catalogue, start="2026-05-01 00:00:00")
    assert (oldest["outcome"], oldest["month"]) == ("rated", "2026-05")
    # the arrival's month is Shanghai's, too
    arrived = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    assert one(catalogue, arrived, start="2026-05-31 23:59:59")["reason"] == "TOO_LATE"
    assert one(catalogue, arrived - timedelta(seconds=1), start="2026-05-31 23:59:59")["outcome"] == "rated"


def test_the_first_fault_in_the_order_of_looking_is_the_reason(town: Catalogue) -> None:
    """R-INV-1: each of these has all the faults of the ones after it."""
    worst: dict[str, Any] = {
        "fault": "UNREADABLE",
        "call_id": None,
        "service_number": "12",
        "start": "2026-12-24 00:00:00",
        "duration_s": 99_999,
        "end_at": instant("2026-12-23 00:00"),
    }
    cures: list[dict[str, Any]] = [
        {},
        {"fault": None},
        {"call_id": "c"},
        {"service_number": "4001234567"},
        {"end_at": instant("2026-12-24 01:00")},
        {"duration_s": 3595},
        {"start": "2026-01-05 00:00:00", "end_at": instant("2026-01-05 01:00")},
        {"start": "2026-11-05 00:00:00", "end_at": instant("2026-11-05 01:00")},
        {"service_number": "4001112222"},
        {"service_number": NUMBER},
    ]
    reasons = []
    for cure in cures:
        worst |= cure
        reasons.append(one(town, **worst)["reason"])
    assert reasons == [
        "UNREADABLE", "MISSING_FIELD", "BAD_NUMBER", "BAD_INTERVAL", "DURATION_LIMIT", "CLOCK_SKEW", "TOO_LATE",
        "UNKNOWN_NUMBER", "NO_PLAN", None,
    ]  # fmt: skip


def test_good_and_bad_calls_of_one_batch_do_not_disturb_each_other(town: Catalogue) -> None:
    """R-INV-1: every record ends as one row, in its place, whatever stands beside it; chunks do not matter."""
    rows = [a_call(start=line["start"], service_number=WHO[line["number"]]) for line in cells(BILL)]
    rows += [
        a_call(service_number="x"),
        a_call(end_at=None),
        a_call(caller_number="+1 2125551234"),
        a_call(fault="UNREADABLE"),
    ]
    alone = [rate(records(row), town, ARRIVED).to_pylist()[0] for row in rows]
    together = pa.concat_tables([records(*rows[:7]), records(*rows[7:])])
    assert rate(together, town, ARRIVED).to_pylist() == alone
    assert rate(records(*reversed(rows)).slice(1), town, ARRIVED).to_pylist() == alone[::-1][1:]


def test_no_records_are_no_calls(town: Catalogue) -> None:
    """R-INV-1."""
    empty = rate(RECORD.empty_table(), town, ARRIVED)
    assert empty.num_rows == 0
    assert empty.schema.equals(RATED)
    assert one(Catalogue.empty(some_terms()))["reason"] == "UNKNOWN_NUMBER"


def test_arrival_must_say_its_time_zone(town: Catalogue) -> None:
    """F-01."""
    with pytest.raises(ValueError, match="no time zone"):
        rate(records(a_call()), town, datetime(2026, 11, 20))  # noqa: DTZ001


def test_columns_are_those_of_the_ledger() -> None:
    """R-INV-5: dictionaries stand for texts; all else has the ledger's type."""
    for field in RATED:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        assert kind == CALLS.field(field.name).type, field.name
    told_by_the_ledger = {"seq", "source", "received_at", "retries", "duplicate_of", "events_seq"}
    assert {field.name for field in CALLS} - set(RATED.names) == told_by_the_ledger


def test_every_reason_of_a_call_can_come_from_rating_or_before() -> None:
    """R-INV-1: what rating gives is in the closed list."""
    given_here = {line["reason"] for line in cells(REJECTS)} | {"BAD_INTERVAL", "DURATION_LIMIT"}
    assert given_here <= {reason.value for reason in Reason}
