"""How one call was charged: every row under its id, the rule and the arithmetic of each step (`fentan call`)."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from rating.areas import area_name
from rating.numbers import kind_of
from rating.reasons import Reason
from reports.explain_words import Row, bytes_of, came, lasting, rows_of, when, yuan


def lines_of_call(con: duckdb.DuckDBPyConnection, call_id: str) -> list[str]:
    """A sentence a line; none if no row has this id."""
    rows = rows_of(con, "call_rows.sql", call_id=call_id)
    retried = {row["retries"]: row for row in rows if row["retries"] is not None}
    lines: list[str] = []
    if len(rows) > 1:
        lines.append(f"The id {call_id} came {len(rows)} times; every time is a row of its own (R-INV-1).")
    for row in rows:
        if row["outcome"] == "rated":
            lines += _rated(con, call_id, row)
        else:
            lines += _uncharged(call_id, row, retried.get(row["seq"]))
    return lines


def _rated(con: duckdb.DuckDBPyConnection, call_id: str, row: Row) -> Iterator[str]:
    asked = {
        "service_number": row["service_number"],
        "start_at": row["start_at"],
        "events_seq": row["events_seq"],
    }
    facts = {fact["facet"]: fact for fact in rows_of(con, "call_facts.sql", **asked)}
    again = "" if row["retries"] is None else f" It tried row {row['retries']} again."
    yield f"Call {call_id}: row {row['seq']} of calls, rated. It {came(row)}.{again}"
    yield _who(row)
    yield (
        f"Customer {row['customer_id']} (provider {row['provider_id']}) held the number at its start and pays "
        f"(R-CALL-8): {_cause(facts.get('holder'))}."
    )
    life = facts.get("state")
    if life is not None:
        yield f"The number was {life['value']}: {_cause(life)}."
    price = facts.get("rate")
    yield (
        f"The rate was {yuan(row['rate'])} a minute (R-CALL-3): {_cause(price)}. "
        f"The catalogue knew {row['events_seq']:,} rows of events then."
    )
    yield from _arithmetic(row, price)
    yield from _caller_leg(row)
    if row["tags"]:
        yield f"Worth noticing: {', '.join(row['tags'])}."
    yield from _billed(row)
    yield from _later(con, call_id, row)


def _who(row: Row) -> str:
    caller = row["caller_number"] or "a withheld number"
    known = area_name(row["caller_area"]) if row["caller_area"] else None
    name = f", {' '.join(dict.fromkeys(known))}" if known else ""
    area = f" ({row['caller_area']}{name})" if row["caller_area"] else ""
    answered = (
        "was not answered"
        if row["answer_at"] is None
        else f"was answered at {when(row['answer_at'])} for {lasting(row['duration_s'])}"
    )
    return f"{caller}{area} called {row['service_number']} at {when(row['start_at'])}; the call {answered}."


def _cause(fact: Row | None) -> str:
    """The event that a fact of the catalogue came from."""
    if fact is None:
        return "no event says so, run `fentan verify`"
    plan = f", plan {fact['plan_id']}" if fact["plan_id"] else ""
    return f"{fact['kind']} {fact['command_id']}{plan}, row {fact['seq']} of events, in force from {when(fact['from_at'])}"


def _arithmetic(row: Row, price: Row | None) -> Iterator[str]:
    duration_s, billed_s, fee = row["duration_s"], row["billed_s"], row["owner_fee"]
    kind = kind_of(row["service_number"])
    if duration_s == 0:
        yield f"{'It was not answered' if row['answer_at'] is None else 'It lasted 0 s'}, so it costs {fee} yuan (R-CALL-3)."
        return
    if kind == "95":
        yield f"The owner of a 95 number pays nothing for calls: {fee} yuan (R-CALL-5)."
        return
    if price is not None:
        steps = lasting(price["increment_s"])
        yield f"{lasting(duration_s)} in whole steps of {steps} is {lasting(billed_s)} (R-CALL-3)."
    rate = yuan(row["rate"]).removesuffix(" yuan")
    rate_hao, fee_hao = int(row["rate"].scaleb(4)), int(fee.scaleb(4))
    leg_hao = (2 * rate_hao * billed_s + 60) // 120
    whole = billed_s % 60 == 0
    sides = f"{billed_s // 60} min × {rate}" if whole else f"{billed_s} s × {rate} ÷ 60"
    leg = f"{leg_hao // 10_000}.{leg_hao % 10_000:04d}"
    if kind == "800":
        rest = fee_hao - leg_hao
        yield (
            f"{sides} = {leg} yuan, and the caller's leg of {rest // 10_000}.{rest % 10_000:04d} yuan, which the owner "
            f"of an 800 number pays too (R-CALL-5): {fee} yuan."
        )
    else:
        yield f"{sides} = {leg} yuan (R-CALL-3)." + (
            "" if leg_hao == fee_hao else f" The row says {fee}: run `fentan verify`."
        )


def _caller_leg(row: Row) -> Iterator[str]:
    estimate = row["caller_estimate"]
    if estimate is None:
        yield "What the caller's own carrier charges for the caller's leg is not known (R-CALL-2)."
    elif estimate:
        yield (
            f"The caller's own carrier probably charges {yuan(estimate)} for the caller's leg; that is never charged here "
            "(R-CALL-1, R-CALL-2)."
        )


def _billed(row: Row) -> Iterator[str]:
    month, billed = row["month"], row["billed_month"]
    if month == billed:
        yield f"It belongs to {month}, the month of its start, and is on that month's statement (R-CALL-8)."
    else:
        yield (
            f"It belongs to {month}, the month of its start, which was closed when it came; so it counts for the "
            f"minimum of {month} and is on the statement of {billed} (R-CALL-8, R-MIN-7)."
        )


def _later(con: duckdb.DuckDBPyConnection, call_id: str, row: Row) -> Iterator[str]:
    """What other events did because of this call or to it, and what it comes to."""
    found = rows_of(
        con,
        "SELECT posting_id, kind, amount, debit, month, reason, command_id, customer_id FROM postings "
        "WHERE command_id = $adjusted OR reverses = $corrected ORDER BY seq, posting_id",
        adjusted=f"adjust/{call_id}", corrected=f"call/{call_id}",
    )  # fmt: skip
    if not found:
        return
    totals = {row["customer_id"]: row["owner_fee"]}
    for posting in found:
        more, customer_id = posting["debit"].startswith("customer/"), posting["customer_id"]
        totals[customer_id] = totals.get(customer_id, 0) + (posting["amount"] if more else -posting["amount"])
        if posting["kind"] == "rerating":
            cause = posting["command_id"].partition("/")[2]  # rerate/<cause>
            payer = "" if customer_id == row["customer_id"] else f" for customer {customer_id}"
            yield (
                f"{cause} reached back to it: it was re-rated, {yuan(posting['amount'])} {'more' if more else 'less'}"
                f"{payer}, posting {posting['posting_id']}, billed to {posting['month']} (R-CALL-8, R-INV-3)."
            )
        else:
            done = "added to" if more else "taken back of"
            yield (
                f"{yuan(posting['amount'])} were {done} the {posting['reason']}, posting {posting['posting_id']}, "
                f"billed to {posting['month']} (R-MIN-7)."
            )
    changed = " and ".join(
        f"customer {customer_id} owes by {yuan(total)}" for customer_id, total in totals.items()
    )
    yield f"Altogether the call changed what {changed}."


def _uncharged(call_id: str, row: Row, retry: Row | None) -> Iterator[str]:
    reason = Reason(row["reason"]) if row["reason"] in list(Reason) else None
    again = "" if row["retries"] is None else f" It tried row {row['retries']} again."
    meaning = f": {reason.meaning}" if reason else ""
    yield f"Call {call_id}: row {row['seq']} of calls, {row['outcome']}, {row['reason']}{meaning}. It {came(row)}.{again}"
    yield f"{row['detail']}"
    if retry is not None:
        yield f"Row {retry['seq']} tried it again: {retry['outcome']}."
    elif (
        row["outcome"] == "rejected"
        and reason is not None
        and reason.what_to_do.casefold() not in row["detail"].casefold()
    ):
        yield f"What to do: {reason.what_to_do}."
    elif reason is Reason.CONFLICTING_DUPLICATE:
        yield f"What to do: {reason.what_to_do} (R-INV-6)."
    if row["raw"]:
        yield f"Its bytes: {bytes_of(row['raw'])}"
