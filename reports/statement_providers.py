"""What only a provider's statement shows: feature fees by day, fines, and what its tree's customers were charged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports import statement_text as text
from reports.statement import CustomerCharges, ProviderGroup, ProviderPart
from reports.statement_tables import Column, Table
from reports.statement_words import list_word, words


def provider_tables(part: ProviderPart, language: str) -> Iterator[Table]:
    """The tables in their order; one without rows is left out."""
    if part.feature_fees:
        yield _feature_fees(part, language)
    if part.fines:
        yield _fines(part, language)
    if any(group.customers for group in part.groups):
        yield _customers(part.groups, language)


def _feature_fees(part: ProviderPart, language: str) -> Table:
    """The date stands where a day begins; a day with several fees has its sum beside the last."""
    said = words(language)
    table = Table(
        [
            Column(said["day"], 10),
            Column(said["number"], 15),
            Column(said["feature"], 22),
            Column(said["posting"], 26),
            Column(said["dispute"], 14),
            Column(said["amount"], 14, right=True),
            Column(said["day_total"], 14, right=True),
        ],
        said["feature_fees"],
    )
    fees = part.feature_fees
    places = text.decimals(fee.amount_hao for fee in fees)
    rows, day_hao = [], 0
    for at, fee in enumerate(fees):
        begins = at == 0 or fees[at - 1].day != fee.day
        ends = at + 1 == len(fees) or fees[at + 1].day != fee.day
        day_hao = fee.amount_hao if begins else day_hao + fee.amount_hao
        rows.append(
            [
                text.month_and_day(fee.day) if begins else "",
                fee.service_number,
                table.fit(2, list_word(fee.feature, language)),
                table.fit(3, fee.posting_id),
                "" if fee.dispute is None else list_word(fee.dispute, language),
                text.amount(fee.amount_hao, places),
                text.amount(day_hao, places) if ends else "",
            ]
        )
    table.add(rows)
    table.add([[said["total"], *[""] * 5, text.amount(sum(fee.amount_hao for fee in fees), places)]], "total")
    return table


def _fines(part: ProviderPart, language: str) -> Table:
    said = words(language)
    table = Table(
        [
            Column(said["notice"], 14),
            Column(said["number"], 15),
            Column(said["reason"], 40),
            Column(said["due"], 14),
            Column(said["paid_on"], 14),
            Column(said["amount"], 16, right=True),
        ],
        said["fines"],
    )
    table.add(
        [
            [
                str(fine.notice_on),
                fine.service_number or "",
                table.fit(2, list_word(fine.reason, language)),
                str(fine.due_on),
                said["unpaid"] if fine.paid_on is None else str(fine.paid_on),
                text.amount(fine.amount_hao),
            ]
            for fine in part.fines
        ]
    )
    return table


def _customers(groups: Sequence[ProviderGroup], language: str) -> Table:
    """Grouped by provider, subordinate ones indented by their depth; each group and all have their sum."""
    said = words(language)
    table = Table(
        [
            Column(said["customer_id"], 17),
            Column(said["customer_name"], 40),
            Column(said["number_count"], 9, right=True),
            Column(said["calls"], 11, right=True),
            Column(said["minutes"], 13, right=True),
            Column(said["call_charges"], 16, right=True),
            Column(said["top_up"], 15, right=True),
            Column(said["other"], 15, right=True),
            Column(said["total"], 17, right=True),
        ],
        said["customers"],
        said["customers_note"],
    )
    everyone = [customer for group in groups for customer in group.customers]
    places = text.decimals(hao for one in everyone for hao in (one.call_hao, one.top_up_hao, one.other_hao))
    for group in groups:
        if not group.customers:
            continue
        table.add([[_group_heading(group, language), *[""] * 8]], "group")
        table.add(
            [
                [
                    table.fit(0, one.customer.party_id),
                    table.fit(1, one.customer.name),
                    *_sums([one], places),
                ]
                for one in group.customers
            ]
        )
        if len(group.customers) > 1:
            table.add([["", said["subtotal"], *_sums(group.customers, places)]], "opening")
    table.add([[said["total"], "", *_sums(everyone, places)]], "total")
    return table


def _group_heading(group: ProviderGroup, language: str) -> str:
    said = words(language)
    level = "›  " * group.depth
    own = f"  ·  {said['own_customers']}" if group.depth == 0 else ""
    return text.fit(f"{level}{group.provider.name}  ({group.provider.party_id}){own}", 50_000)


def _sums(customers: Sequence[CustomerCharges], places: int) -> list[str]:
    """The figures of one customer, or the sums of several."""
    amounts = [
        sum(one.call_hao for one in customers),
        sum(one.top_up_hao for one in customers),
        sum(one.other_hao for one in customers),
    ]
    return [
        f"{sum(one.numbers for one in customers):,}",
        f"{sum(one.calls for one in customers):,}",
        text.minutes(sum(one.billed_s for one in customers)),
        *(text.amount(hao, places) for hao in amounts),
        text.amount(sum(amounts), places),
    ]
