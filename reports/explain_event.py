"""How an event and its postings came to be: the input, the rule, the working (`fentan explain`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from rating.reasons import Reason
from reports.explain_rules import OF_EVENTS, OF_POSTINGS
from reports.explain_words import Row, account, bytes_of, came, counted, fields, rows_of, when, yuan

_POSTINGS = (
    "SELECT posting_id, seq, kind, month, debit, credit, amount, service_number, customer_id, provider_id, reverses, "
    "reason FROM postings"
)
_EVENTS = (
    'SELECT seq, command_id, kind, outcome, reason, detail, "at", received_at, payload, effect, raw, source, source_pos, '
    "calls_seq, len(c_number) AS changes FROM events_rows"
)
FEW = 5
MANY = 40
"""Postings that are told one by one: of a cause, of an event or line."""


def postings_where(con: duckdb.DuckDBPyConnection, condition: str, **params: object) -> list[Row]:
    """The postings that fulfil a condition on the view, in order."""
    return rows_of(
        con,
        f"{_POSTINGS} WHERE {condition} ORDER BY seq, CAST(split_part(posting_id, '-', 2) AS BIGINT)",
        **params,
    )


def lines_of_posting(con: duckdb.DuckDBPyConnection, posting_id: str) -> list[str]:
    """A sentence a line; none if there is no such posting."""
    lines: list[str] = []
    for posting in postings_where(con, "posting_id = $posting_id", posting_id=posting_id):
        (event,) = rows_of(con, f"{_EVENTS} WHERE seq = $seq", seq=posting["seq"])
        lines += [
            told(posting),
            *_working(con, posting, event),
            *_reversed_by(con, posting_id),
            *_input(event),
        ]
    return lines


def told(posting: Row) -> str:
    """What a posting is, in a sentence with its rule."""
    about = [f"number {posting['service_number']}"] * bool(posting["service_number"])
    about += [f"customer {posting['customer_id']}"] * bool(posting["customer_id"])
    about += [f"provider {posting['provider_id']}"] * bool(posting["provider_id"])
    rule = f" ({OF_POSTINGS[posting['kind']]})" if posting["kind"] in OF_POSTINGS else ""
    said = f", {posting['reason']}" if posting["reason"] else ""
    return (
        f"Posting {posting['posting_id']}: {posting['kind']} of {yuan(posting['amount'])}, from {account(posting['debit'])} "
        f"to {account(posting['credit'])}, billed to {posting['month']}{said}; {', '.join(about)}{rule}."
    )


def _working(con: duckdb.DuckDBPyConnection, posting: Row, event: Row) -> Iterator[str]:
    effect: dict[str, Any] = json.loads(event["effect"]) if event["effect"] else {}
    match posting["kind"]:
        case "minimum_top_up" if event["kind"] == "close_customer":
            yield from _top_up(posting, effect)
        case "minimum_top_up" | "late_call_adjustment":
            yield from _adjustment(con, posting, effect)
        case "settlement" if event["kind"] == "reverse_posting":
            yield (
                f"What usage had drawn of the credit of posting {effect['posting_id']} is paid from cash instead, because "
                "the fee was taken back."
            )
        case "settlement" | "credit_expiry":
            yield from _settlement(con, posting, event, effect)
        case "reversal":
            for original in postings_where(con, "posting_id = $id", id=posting["reverses"]):
                yield f"It reverses: {told(original)}"
        case "rerating":
            call_id = str(posting["reverses"]).removeprefix("call/")
            yield (
                f"{effect.get('caused_by')} was recorded after the call {call_id} had been charged and reaches back to it; "
                f"this is the difference. `fentan call {call_id}` shows all of it."
            )
        case "plan_fee":
            yield (
                f"The plan {effect.get('plan_id')} costs {effect.get('fee')} yuan for {effect.get('credit_starts_on')} to "
                f"{effect.get('credit_ends_on')}, by the price book of that day."
            )
        case "fine":
            yield (
                f"It is overdue on {effect.get('due_at')} if it has not been paid by then: "
                "the day of its notice counts as zero, then working days (R-PEN-4)."
            )
        case "feature_fee":
            yield f"{effect.get('feature')} has this price in the price book of that day; on since {effect.get('since')}."


def _top_up(posting: Row, effect: dict[str, Any]) -> Iterator[str]:
    for working in effect.get("minimums", []):
        if working["service_number"] == posting["service_number"]:
            yield f"The minimum of {posting['service_number']} in {effect['month']}: {working['how']}."
            yield (
                f"Calls of {effect['month']}: {working['calls']}. "
                f"{working['minimum']} − {working['calls']} = {working['top_up']} yuan (R-MIN-1)."
            )


def _adjustment(con: duckdb.DuckDBPyConnection, posting: Row, effect: dict[str, Any]) -> Iterator[str]:
    """What was topped up before and how this posting keeps it right."""
    if "call_id" in effect:
        yield f"The call {effect['call_id']} of {effect['month']} came after that month's close; `fentan call {effect['call_id']}` shows it."
    elif "caused_by" in effect:
        yield f"{effect['caused_by']} was recorded after {posting['reason'][-7:]} had been closed and reaches back to it."
        for number, customer, month, more in effect.get("minimums", []):
            if (number, customer, month) == (
                posting["service_number"],
                posting["customer_id"],
                posting["reason"][-7:],
            ):
                yield f"The minimum of {number} in {month} changed by {more} yuan."
    before = postings_where(
        con,
        "kind IN ('minimum_top_up', 'late_call_adjustment') AND service_number = $number AND customer_id = $customer "
        "AND reason = $about AND seq < $seq",
        number=posting["service_number"], customer=posting["customer_id"], about=posting["reason"], seq=posting["seq"],
    )  # fmt: skip
    held = sum((_signed(one) for one in before), Decimal(0))
    yield (
        f"Before it the {posting['reason']} stood at {yuan(held)}, after it at {yuan(held + _signed(posting))}: "
        "max(0, minimum − calls of the month) always holds (R-MIN-7)."
    )


def _signed(posting: Row) -> Decimal:
    """Above zero if the customer owes more by it."""
    amount: Decimal = posting["amount"]
    return amount if posting["debit"].startswith("customer/") else -amount


def _settlement(
    con: duckdb.DuckDBPyConnection, posting: Row, event: Row, effect: dict[str, Any]
) -> Iterator[str]:
    """All that this close drew, in drawing order."""
    drawn = postings_where(con, "seq = $seq AND kind IN ('settlement', 'credit_expiry')", seq=event["seq"])
    settled = sum((one["amount"] for one in drawn if one["kind"] == "settlement"), Decimal(0))
    yield f"The close of {effect.get('month')} settled {yuan(settled)} of usage of customer {posting['customer_id']}, in this order:"
    for place, one in enumerate(drawn, start=1):
        ends = _credit_ends(con, one["debit"])
        period = f", which ends on {ends}" if ends else ""
        what = "ended unused" if one["kind"] == "credit_expiry" else "paid"
        here = " (this posting)" if one["posting_id"] == posting["posting_id"] else ""
        yield f"  {place}. {account(one['debit'])}{period}: {yuan(one['amount'])} {what}{here}"


def _credit_ends(con: duckdb.DuckDBPyConnection, path: str) -> date | None:
    if "/credit/" not in path:
        return None
    found = rows_of(
        con,
        "SELECT CAST(effect ->> '$.credit_ends_on' AS DATE) AS ends FROM (SELECT CAST(effect AS JSON) AS effect FROM events_rows "
        "WHERE kind IN ('sign_contract', 'renew_contract') AND outcome = 'accepted') WHERE effect ->> '$.credit' = $path",
        path=path,
    )
    return found[0]["ends"] if found else None


def _reversed_by(con: duckdb.DuckDBPyConnection, posting_id: str) -> Iterator[str]:
    for later in postings_where(con, "kind = 'reversal' AND reverses = $id", id=posting_id):
        yield f"It was reversed by posting {later['posting_id']}: {later['reason']} (R-INV-3)."


def lines_of_command(con: duckdb.DuckDBPyConnection, command_id: str) -> list[str]:
    """Every event with this id, with its postings; none if there is no such event."""
    lines: list[str] = []
    for event in rows_of(con, f"{_EVENTS} WHERE command_id = $id ORDER BY seq", id=command_id):
        lines += _input(event)
        if event["outcome"] != "accepted":
            continue
        if event["kind"] == "alert":
            lines += _crossing(con, event)
        postings = postings_where(con, "seq = $seq", seq=event["seq"])
        lines += [told(posting) for posting in postings[:MANY]]
        if len(postings) > MANY:
            lines.append(
                f"… and {len(postings) - MANY:,} more: SELECT * FROM postings WHERE seq = {event['seq']}"
            )
        if event["changes"]:
            lines.append(f"It changed {event['changes']} facts of the catalogue.")
    return lines


def _input(event: Row) -> Iterator[str]:
    """What was asked and answered, or what was decided by ourselves."""
    name = (
        f"{event['kind'] or 'a line'} {event['command_id'] or 'without an id'}, row {event['seq']} of events"
    )
    at = f", of {when(event['at'])}" if event["at"] else ""
    if event["payload"] is None and event["outcome"] == "accepted":
        yield f"Decided by Fentan itself: {name}{at}, after {event['calls_seq']:,} rows of calls. {_decided(event)}"
        return
    yield f"Input: {name}{at}: {fields(event['payload'])}. It {came(event)}; {event['outcome']}."
    if event["outcome"] == "accepted":
        if event["kind"] in OF_EVENTS:
            yield f"By {OF_EVENTS[event['kind']]}."
        if event["detail"]:
            yield event["detail"]
        return
    reason = Reason(event["reason"]) if event["reason"] in list(Reason) else None
    meaning = f", {reason.meaning}" if reason else ""
    rules = f" ({', '.join(reason.rules)})" if reason and reason.rules else ""
    yield f"{event['outcome'].capitalize()}: {event['reason']}{meaning}{rules}. {event['detail']}"
    if reason is not None:
        yield f"What to do: {reason.what_to_do}."
    if event["raw"]:
        yield f"Its bytes: {bytes_of(event['raw'])}"


def _decided(event: Row) -> str:
    effect = json.loads(event["effect"]) if event["effect"] else {}
    if event["kind"] == "close_customer":
        return f"It closed {effect['month']} for customer {effect['customer_id']}."
    if event["kind"] == "adopt_price_book":
        return f"It adopted the price book {effect['name']}."
    if event["kind"] == "rerate":
        return f"It re-rated what {effect['caused_by']} reached back to: {effect['calls']:,} calls looked at."
    rule = f" By {OF_EVENTS[event['kind']]}." if event["kind"] in OF_EVENTS else ""
    return f"It says {fields(event['effect'])}.{rule}"


def _crossing(con: duckdb.DuckDBPyConnection, event: Row) -> Iterator[str]:
    """What made the balance cross: the event before it, or the last call it had seen (R-ARR-1)."""
    path = json.loads(event["effect"]).get("account", "")
    causes = postings_where(
        con,
        "seq = (SELECT max(seq) FROM events_rows WHERE seq < $seq AND kind NOT IN ('alert', 'balance_restored')) "
        "AND (starts_with(debit, $path) OR starts_with(credit, $path)) "
        "AND command_id IN (SELECT command_id FROM events_rows WHERE seq < $seq AND \"at\" = $at)",
        seq=event["seq"], path=f"{path}/", at=event["at"],
    )  # fmt: skip
    if causes:
        (cause,) = rows_of(con, f"{_EVENTS} WHERE seq = $seq", seq=causes[0]["seq"])
        name = f"{cause['kind']} {cause['command_id']}, row {cause['seq']} of events"
        yield f"It follows from {name}, with {counted(len(causes), 'posting')} on {path} (R-ARR-1):"
        yield from (f"  {told(one)}" for one in causes[:FEW])
        if len(causes) > FEW:
            yield f"  … and {len(causes) - FEW:,} more: `fentan explain {cause['command_id']}`"
        return
    calls = rows_of(
        con,
        "SELECT call_id, owner_fee FROM calls WHERE seq = $seq AND 'customer/' || customer_id = $path AND received_at = $at",
        seq=event["calls_seq"] - 1, path=path, at=event["at"],
    )  # fmt: skip
    yield from (
        f"It follows from the call {call['call_id']} of {call['owner_fee']} yuan (R-ARR-1)." for call in calls
    )
