"""A statement as one CSV file: every figure of it as a row, with the same columns throughout.

UTF-8 with a byte order mark, for without one spreadsheets read Chinese as something else, and CRLF at the end
of lines (RFC 4180). Text that a spreadsheet would execute is neutralised (F-25); amounts stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat

import pyarrow as pa

from ledger.cells import neutral
from rating.calendar import instant_text
from rating.money import yuan_text
from reports.statement import CustomerPart, Day, NumberCharges, ProviderPart, Statement
from reports.statement_json import call_columns
from reports.statement_words import line_word, list_word, pot_word, vat_word, words

COLUMNS = (
    "section", "service_number", "at", "item", "label", "calls", "answered", "duration_s", "billed_min", "rate",
    "amount", "caller_number", "caller_area", "caller_estimate", "reference", "note",
)  # fmt: skip
"""`section` says what a row is: statement, opening, line, closing, vat, entry, number, credit, step, day, call,
late_call, late_call_adjustment, feature_fee, fine, customer. `item` is a code, `label` what it is called. The
estimate of the caller's own leg stands beside a call and is no part of any sum (R-CALL-1)."""

_Row = dict[str, str | int]


def statement_csv(statement: Statement, language: str = "zh") -> bytes:
    """The rows in the order of the printed statement, calls last; the same bytes for the same statement."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    blank = dict.fromkeys(COLUMNS, "")
    writer.writerows((blank | row).values() for row in _rows(statement, language))
    if isinstance(statement.part, CustomerPart):
        for number in statement.part.numbers:
            writer.writerows(_calls("call", number.service_number, number.call_details, language))
            writer.writerows(_calls("late_call", number.service_number, number.late_calls, language))
    return out.getvalue().encode("utf-8-sig", "backslashreplace")


def _rows(statement: Statement, language: str) -> Iterator[_Row]:
    yield from _head(statement, language)
    yield from _account(statement, language)
    for vat in statement.vat:
        amounts = (("gross", vat.gross_hao), ("net", vat.net_hao), ("tax", vat.vat_hao))
        for item, hao in amounts:
            label = f"{vat_word(vat.kind, language)} {words(language)[item]}"
            yield {"section": "vat", "item": f"{vat.kind}/{item}", "label": label, "amount": yuan_text(hao)}
    for entry in statement.entries:
        yield {
            "section": "entry",
            "service_number": neutral(entry.service_number or ""),
            "at": instant_text(entry.at),
            "item": neutral(entry.kind),
            "label": line_word(entry.kind, language),
            "amount": yuan_text(entry.amount_hao),
            "reference": neutral(entry.posting_id),
            "note": neutral(entry.reference or ""),
        }
    if isinstance(statement.part, CustomerPart):
        yield from _customer(statement.part, language)
    else:
        yield from _provider(statement.part, language)


def _head(statement: Statement, language: str) -> Iterator[_Row]:
    said, head = words(language), statement.head
    values = {
        "statement_no": head.number,
        f"{statement.kind}_id": head.party.party_id,
        "name": head.party.name,
        "month": head.month,
        "issuer": head.issuer,
        "issued": instant_text(head.issued_at),
        "currency": head.currency,
    }
    for item, value in values.items():
        yield {"section": "statement", "item": item, "label": said.get(item, ""), "note": neutral(value)}


def _account(statement: Statement, language: str) -> Iterator[_Row]:
    """Each pot and the total of the opening balance, the lines, and the closing balance."""
    said, account = words(language), statement.account

    def pots(
        section: str, item: str, label: str, amounts: tuple[int, ...], count: int | str = ""
    ) -> Iterator[_Row]:
        for pot, hao in zip((*account.pots, "total"), (*amounts, sum(amounts)), strict=True):
            row: _Row = {"section": section, "item": f"{item}/{pot}", "amount": yuan_text(hao), "calls": ""}
            yield row | {"label": f"{label} {pot_word(pot, language)}", "note": str(count)}

    yield from pots("opening", "opening", said["opening"], account.opening)
    for line in account.lines:
        count = "" if line.count is None else line.count
        yield from pots("line", line.kind, line_word(line.kind, language), line.amounts, count)
    yield from pots("closing", "closing", said["closing"], account.closing)


def _customer(part: CustomerPart, language: str) -> Iterator[_Row]:
    said = words(language)
    for credit in part.credits:
        moves = {
            "before": credit.opening_hao,
            "paid": credit.paid_hao,
            "drawn": -credit.drawn_hao,
            "expired": -credit.expired_hao,
            "after": credit.closing_hao,
        }
        for item, hao in moves.items():
            yield {
                "section": "credit",
                "service_number": neutral(credit.service_number),
                "item": item,
                "label": said[item],
                "amount": yuan_text(hao),
                "reference": neutral(credit.credit_id),
                "note": f"{credit.starts_on}/{credit.ends_on}",
            }
    for number in part.numbers:
        yield from _number(number, language)


def _number(number: NumberCharges, language: str) -> Iterator[_Row]:
    said, who = words(language), neutral(number.service_number)
    sums = {
        "call_charges": number.call_hao,
        "minimum": number.minimum_hao,
        "top_up": number.top_up_hao,
        "late": number.late_hao,
        "adjustment": number.adjustment_hao,
        "rerating": number.rerating_hao,
        "total": number.total_hao,
    }
    for item, hao in sums.items():
        row: _Row = {"section": "number", "service_number": who, "item": item, "label": said[item]}
        if item == "call_charges":
            row |= {"calls": number.calls, "answered": number.answered, "duration_s": number.duration_s}
            row |= {"billed_min": billed_min(number.billed_s)}
        yield row | {"amount": "" if hao is None else yuan_text(hao)}
    for step in number.steps:
        label = step.text_zh if language == "zh" else step.text_en
        amount = "" if step.amount_hao is None else yuan_text(step.amount_hao)
        yield {
            "section": "step",
            "service_number": who,
            "item": step.rule,
            "label": neutral(label),
            "amount": amount,
        }
    yield from _days(number.days, who)


def _calls(section: str, number: str, calls: pa.Table | None, language: str) -> Iterator[tuple[object, ...]]:
    """Calls as rows of COLUMNS; after a late call what it took back."""
    if calls is None:
        return
    who, columns, none = neutral(number), call_columns(calls), repeat("")
    rows = zip(
        repeat(section), repeat(who), columns["start_at"], none, none, none, map(int, columns["answered"]),
        columns["duration_s"], map(billed_min, columns["billed_s"]), columns["rate"], columns["owner_fee"],
        _texts(columns["caller_number"]), _texts(columns["caller_area"]), (one or "" for one in columns["caller_estimate"]),
        _texts(columns["call_id"]), (_tags(tags, language) if tags else "" for tags in columns["tags"]),
        strict=False,
    )  # fmt: skip
    if section == "call":
        yield from rows
        return
    for row, adjustment in zip(rows, columns["adjustment"], strict=True):
        yield row
        told = dict(zip(COLUMNS, row, strict=True))
        back = {"section": "late_call_adjustment", "service_number": who, "at": told["at"]}
        back |= {"amount": adjustment, "reference": told["reference"]}
        yield tuple(back.get(column, "") for column in COLUMNS)


def _texts(column: list[str | None]) -> Iterator[str]:
    return (neutral(text) if text else "" for text in column)


def _tags(tags: list[str], language: str) -> str:
    return neutral(" ".join(list_word(tag, language) for tag in tags))


def _days(days: Iterable[Day], who: str) -> Iterator[_Row]:
    for day in days:
        yield {
            "section": "day",
            "service_number": who,
            "at": day.day.isoformat(),
            "calls": day.calls,
            "answered": day.answered,
            "billed_min": billed_min(day.billed_s),
            "amount": yuan_text(day.charges_hao),
        }


def _provider(part: ProviderPart, language: str) -> Iterator[_Row]:
    for fee in part.feature_fees:
        yield {
            "section": "feature_fee",
            "service_number": neutral(fee.service_number),
            "at": fee.day.isoformat(),
            "item": neutral(fee.feature),
            "label": neutral(list_word(fee.feature, language)),
            "amount": yuan_text(fee.amount_hao),
            "reference": neutral(fee.posting_id),
            "note": "" if fee.dispute is None else list_word(fee.dispute, language),
        }
    for fine in part.fines:
        yield {
            "section": "fine",
            "service_number": neutral(fine.service_number or ""),
            "at": fine.notice_on.isoformat(),
            "item": "unpaid" if fine.paid_on is None else "paid",
            "amount": yuan_text(fine.amount_hao),
            "reference": neutral(fine.fine_id),
            "note": neutral(fine.reason),
        }
    for group in part.groups:
        for one in group.customers:
            amounts = {"call_charges": one.call_hao, "top_up": one.top_up_hao, "other": one.other_hao}
            for item, hao in (*amounts.items(), ("total", one.total_hao)):
                row: _Row = {"section": "customer", "item": item, "label": neutral(one.customer.name)}
                if item == "call_charges":
                    row |= {"calls": one.calls, "billed_min": billed_min(one.billed_s)}
                row |= {"amount": yuan_text(hao), "reference": neutral(one.customer.party_id)}
                yield row | {"note": neutral(group.provider.party_id)}


@lru_cache(maxsize=1 << 16)
def billed_min(billed_s: int) -> str:
    """Minutes as the ledger's views have them: four decimals where it is no whole number."""
    return yuan_text((billed_s * 10_000 + 30) // 60) if billed_s % 60 else str(billed_s // 60)
