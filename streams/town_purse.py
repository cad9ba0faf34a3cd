"""What the customers of the demo's town pay, and when: enough, but for the two that are to fall into arrears."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rating.money import HAO_PER_YUAN, mul_div_up_to_fen
from streams.town_people import CAST, Line, People

RAISED_TO_YUAN = 150
RENEW_AFTER_MONTHS = 11
"""A paid year is renewed in its last whole month."""


@dataclass
class _Purse:
    """A customer's credit and cash in hao, drawn as the ledger draws them: what ends first, first."""

    cash: int = 0
    credits: list[list[int]] = field(default_factory=list)
    """[month in which it ends, hao], in the order of their ends"""

    def total(self) -> int:
        return self.cash + sum(hao for _, hao in self.credits)

    def add_credit(self, ends: int, hao: int) -> None:
        self.credits.append([ends, hao])
        self.credits.sort()

    def draw(self, hao: int) -> None:
        for credit in self.credits:
            drawn = min(hao, credit[1])
            credit[1] -= drawn
            hao -= drawn
        self.cash -= hao

    def expire(self, month: int) -> None:
        self.credits = [credit for credit in self.credits if credit[0] > month]


def renewals_of(people: People, line: int, months: int) -> list[int]:
    """The months (from 0) in which a number's paid year is renewed; none in towns of up to a year."""
    if months <= 12 or people.lines[line].plan.fee_months != 12:
        return []
    return list(range(people.joined(line) + RENEW_AFTER_MONTHS, months, 12))


def payments(people: People, minutes: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """(customer, month) -> hao paid early in that month, for `minutes` billed by (line, month).

    Ordinary customers pay what the month will take and a little more, rounded up, so balances come close
    to zero (low-balance alerts) but never below.
    """
    months = minutes.shape[1]
    paid: dict[tuple[int, int], int] = {}
    for index in range(len(people.customers)):
        if index == CAST.debtor or (index == CAST.cleared and months > 1):
            paid.update(_short_of_money(people, index, minutes))
        else:
            paid.update(_solvent(people, index, minutes))
    return paid


def crossing_month(customer: int, months: int) -> int:
    """The month whose calls take a customer below zero."""
    return months - 1 if customer == CAST.debtor else months - 2


def _short_of_money(people: People, index: int, minutes: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """Half of the crossing month's calls are not covered; `cleared` pays in the month after."""
    months, joined = minutes.shape[1], people.customers[index].joined
    lines = people.lines_of(index)
    fees = [
        sum(int(minutes[line, month]) * people.lines[line].rate_hao for line in lines)
        for month in range(months)
    ]
    cross = crossing_month(index, months)
    before = sum(fees[:cross])
    enough = before + fees[cross] // 2
    whole_yuan = enough // HAO_PER_YUAN * HAO_PER_YUAN
    advance = whole_yuan if whole_yuan >= before else enough
    paid = {(index, joined): advance} if advance else {}
    if index == CAST.cleared:
        # the minimums of the crossing month and of the month of the payment
        floor = 2 * people.book.base_minimum_hao("ordinary", people.since)
        paid[index, cross + 1] = _round_up(before + fees[cross] - advance + fees[cross + 1] + floor, 100)
    return paid


def _solvent(people: People, index: int, minutes: npt.NDArray[np.int64]) -> dict[tuple[int, int], int]:
    months, joined = minutes.shape[1], people.customers[index].joined
    lines, purse = people.lines_of(index), _Purse()
    paid: dict[tuple[int, int], int] = {}
    for month in range(joined, months):
        for line in lines:
            plan = people.lines[line].plan
            fee_hao = plan.fee_hao_for(people.lines[line].number_class)
            if month == joined:
                purse.add_credit(month + plan.fee_months, fee_hao)
            if month in renewals_of(people, line, months):
                purse.add_credit(month + 1 + plan.fee_months, fee_hao)
        outlay = sum(
            _outlay(people, people.lines[line], int(minutes[line, month]), month == joined) for line in lines
        )
        wanted = outlay + outlay // 20 + 20 * HAO_PER_YUAN
        if purse.total() < wanted:
            missing = wanted - purse.total()
            paid[index, month] = _round_up(missing, 500 if missing > 2000 * HAO_PER_YUAN else 100)
            purse.cash += paid[index, month]
        purse.draw(outlay)
        purse.expire(month)
    return paid


def _outlay(people: People, line: Line, minutes: int, opening: bool) -> int:
    """At most what a month takes from the customer: its calls, or the minimum."""
    calls_hao = minutes * line.rate_hao
    if opening:
        return calls_hao
    base_hao = people.book.base_minimum_hao(line.number_class, people.since)
    minimum_hao = mul_div_up_to_fen(base_hao, line.rate_hao, people.book.base_rate_hao(people.since))
    raised_yuan = RAISED_TO_YUAN if line.customer == CAST.raised else line.minimum_yuan or 0
    return max(calls_hao, minimum_hao, raised_yuan * HAO_PER_YUAN)


def _round_up(hao: int, yuan: int) -> int:
    return -(-hao // (yuan * HAO_PER_YUAN)) * yuan * HAO_PER_YUAN
