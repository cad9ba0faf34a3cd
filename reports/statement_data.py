"""A closed month's figures, gathered from the ledger's views and cut into one Statement an account (R-ARR-4).

The month is asked for once; customers then come one after the other, and their calls with them, so memory does not
grow with the calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import orjson
import pyarrow as pa

from ledger.chain import Chain
from ledger.log import Log
from ledger.maintain import nearly_sorted
from rating import price_book
from rating.calendar import day_of, days_in, first_day, parse_day
from rating.columns import to_list
from rating.money import parse_yuan
from rating.price_book import PriceBook
from reports import statement as s
from reports.statement_call_details import in_detail
from reports.statement_calls import Called, DaySums, NumberCalls, by_day, late_calls, summed
from reports.statement_steps import steps_of


@cache
def _sql(name: str) -> str:
    return (Path(__file__).parent / "statement_sql" / f"{name}.sql").read_text(encoding="utf-8")


class Posted(NamedTuple):
    """One posting, with the columns of `statement_sql/postings.sql` in their order; there are many."""

    posting_id: str
    at: datetime
    kind: str
    event_kind: str
    debit: str
    credit: str
    amount_hao: int
    service_number: str | None
    customer_id: str | None
    provider_id: str | None
    reason: str | None
    reversed_kind: str | None


class Month:
    """What all statements of a month are made of."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, month: str, events: Log, calls: Log, *, with_calls: bool = True
    ) -> None:
        """`close` is None if the month is open. Without `with_calls` only what events say is read."""
        self.con, self.month, self.chain_head = con, month, ""
        self._calls = calls
        self._summed: dict[str, s.CustomerCharges | None] = {}
        self._days_by_provider: dict[str, DaySums] = defaultdict(DaySums)
        self._failed: dict[str, Exception] = {}
        self._read_facts()
        if self.close is None:
            return
        self.chain_head = _head_after(events.chain, self.close["seq"])
        self._read_closes()
        self._read_postings()
        self._read_penalties(self.close["seq"])
        if with_calls:
            self._read_calls()

    def _read_penalties(self, until_seq: int) -> None:
        """Fines and disputes as they stood at the close: what came of them later is on a later statement."""
        asked = {"month": self.month, "until_seq": until_seq}
        self.fines: dict[str, list[s.Fine]] = defaultdict(list)
        for row in self._ask("fines", **asked):
            paid_at, last_day = row["paid_at"], day_of(row["due_at"] - timedelta(microseconds=1))
            fine = s.Fine(
                row["fine_id"], day_of(row["issued_at"]), last_day, row["reason"], row["amount_hao"],
                row["service_number"], None if paid_at is None else day_of(paid_at),
            )  # fmt: skip
            self.fines[row["provider_id"]].append(fine)
        disputes = self._ask("disputes", until_seq=until_seq)
        self.disputes: dict[str, str] = {row["posting_id"]: row["outcome"] for row in disputes}

    def _read_calls(self) -> None:
        self.called = {row["customer_id"] for row in self._ask("called", month=self.month)}
        self.openings: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._ask("openings", month=self.month):
            owner = _owner(row["account"])
            if owner is not None and row["balance_hao"]:
                self.openings[owner][row["account"]] = row["balance_hao"]
        self.late = dict(late_calls(self._stream("late_calls")))

    def _ask(self, name: str, **params: Any) -> list[dict[str, Any]]:
        names, rows = self._rows(name, **params)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _rows(self, name: str, **params: Any) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        found = self.con.sql(_sql(name), params=params).to_arrow_table()
        return found.column_names, zip(*map(to_list, found.columns), strict=True)

    def _stream(self, name: str, order: str = "", **asked: Any) -> Iterator[pa.Table]:
        found = self.con.cursor().sql(_sql(name) + order, params={"month": self.month, **asked})
        for batch in found.to_arrow_reader(100_000):
            yield pa.Table.from_batches([batch])

    def _read_facts(self) -> None:
        self.customers: dict[str, dict[str, Any]] = {}
        self.providers: dict[str, dict[str, Any]] = {}
        self.credits: dict[str, dict[str, Any]] = {}
        books: list[tuple[str, str]] = []
        self.close: dict[str, Any] | None = None
        for row in self._ask("facts", month=self.month):
            effect = orjson.loads(row["effect"])
            if row["kind"] == "register_customer":
                self.customers[effect["customer_id"]] = effect
            elif row["kind"] == "register_provider":
                self.providers[effect["provider_id"]] = effect
            elif row["kind"] == "adopt_price_book":
                books.append((effect["price_book"], effect["name"]))
            elif row["kind"] == "close_month":
                self.close = row
                break
            elif "credit" in effect:
                self.credits[effect["credit"]] = effect
        self.book: PriceBook = price_book.parse(*books[-1])

    def _read_closes(self) -> None:
        self.workings: dict[str, list[dict[str, Any]]] = {}
        self.carried_in: dict[str, int] = {}
        self.carried_out: dict[str, int] = {}
        for row in self._ask("closes", month=self.month):
            effect = orjson.loads(row["effect"])
            carried_hao = -parse_yuan(effect["carried"])
            if effect["month"] == self.month:
                self.workings[effect["customer_id"]] = effect["minimums"]
                self.carried_out[effect["customer_id"]] = carried_hao
            else:
                self.carried_in[effect["customer_id"]] = carried_hao

    def _read_postings(self) -> None:
        self.in_order: list[Posted] = []
        self.postings: dict[str, list[Posted]] = defaultdict(list)
        for posted in map(Posted._make, self._rows("postings", month=self.month)[1]):
            self.in_order.append(posted)
            debited, credited = _owner(posted.debit), _owner(posted.credit)
            if debited is not None:
                self.postings[debited].append(posted)
            if credited is not None and credited != debited:
                self.postings[credited].append(posted)

    # one statement after the other

    def customer_ids(self) -> list[str]:
        """Customers with a movement, a working or a balance in the month, by id."""
        owners = {*self.postings, *self.openings}
        moved = {owner.removeprefix("customer/") for owner in owners if owner.startswith("customer/")}
        return sorted(moved | set(self.workings) | self.called | set(self.late))

    def provider_ids(self) -> list[str]:
        """All providers that were registered by the close, by id."""
        return sorted(self.providers)

    def customer_statements(self, only: str | None = None) -> Iterator[s.Statement | s.Unmade]:
        """The customers' statements, by id, each with its call details; one that fails does not stop the others."""
        order = "" if nearly_sorted(self._calls, self.month) else "ORDER BY service_number, start_at, seq"
        called = in_detail(self._stream("calls", order, customer=only), self._calls.folder)
        for customer_id, calls in _each(self.customer_ids() if only is None else [only], called):
            try:
                yield self._customer(customer_id, calls)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one is said of that one
                yield s.Unmade("customer", customer_id, self.month, f"{type(error).__name__}: {error}")

    def summaries(self) -> Iterator[s.Statement]:
        """All statements without their call details: customers, then providers, by id."""
        for customer_id, calls in _each(self.customer_ids(), by_day(self._stream("days"))):
            yield self._customer(customer_id, calls)
        yield from map(self._provider, self.provider_ids())

    def _customer(self, customer_id: str, calls: Iterable[NumberCalls]) -> s.Statement:
        customer = self.customers[customer_id]
        numbers = tuple(self._numbers(customer_id, calls))
        days = summed(number.days for number in numbers)
        self._sum_up(customer_id, numbers, days)
        owner = f"customer/{customer_id}"
        account = self._account(owner, s.POTS["customer"], numbers)
        party = s.Party(customer_id, customer["name"])
        return s.Statement(
            head=self._head("C", party),
            account=account,
            vat=self._vat(owner, account),
            entries=tuple(self._entries(f"customer/{customer_id}")),
            days=days,
            part=s.CustomerPart(
                self._above(customer["provider_id"]),
                numbers,
                tuple(self._credits(customer_id)),
            ),
        )

    def _numbers(self, customer_id: str, calls: Iterable[NumberCalls]) -> Iterator[s.NumberCharges]:
        workings = {working["service_number"]: working for working in self.workings.get(customer_id, [])}
        called = {one.service_number: one for one in calls}
        late = self.late.get(customer_id, {})
        rerated: dict[str, int] = defaultdict(int)
        for posted in self.postings.get(f"customer/{customer_id}", []):
            if posted.event_kind == "rerate" and posted.service_number is not None:
                rerated[posted.service_number] += _sign(posted, "customer") * -posted.amount_hao
        for service_number in sorted({*workings, *called, *late, *rerated}):
            working = workings.get(service_number)
            mine = called.get(service_number) or NumberCalls(service_number)
            yield s.NumberCharges(
                service_number=service_number,
                number_class=working["number_class"] if working else "",
                state=working["state"] if working else "",
                plan_id=working["plan_id"] if working else None,
                rates=tuple((parse_day(day), parse_yuan(rate)) for day, rate in working["rates"])
                if working
                else (),
                calls=mine.calls,
                answered=mine.answered,
                duration_s=mine.duration_s,
                billed_s=mine.billed_s,
                call_hao=mine.charges_hao,
                minimum_hao=parse_yuan(working["minimum"]) if working and not working["opening"] else None,
                top_up_hao=parse_yuan(working["top_up"]) if working else 0,
                rerating_hao=rerated.get(service_number, 0),
                steps=tuple(steps_of(working)) if working else (),
                days=mine.days,
                call_details=mine.details,
                late_calls=late.get(service_number),
            )

    def _credits(self, customer_id: str) -> Iterator[s.Credit]:
        prefix = f"customer/{customer_id}/credit/"
        moves: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for posted in self.postings.get(f"customer/{customer_id}", []):
            for account, sign in ((posted.debit, -1), (posted.credit, 1)):
                if account.startswith(prefix):
                    moves[account][posted.kind] += sign * posted.amount_hao
        opened = self.openings.get(f"customer/{customer_id}", {})
        for account in sorted({*moves, *(account for account in opened if account.startswith(prefix))}):
            moved, credit = moves[account], self.credits[account]
            opening = opened.get(account, 0)
            drawn, expired = -moved["settlement"], -moved["credit_expiry"]
            paid = sum(moved.values()) + drawn + expired
            yield s.Credit(
                account.removeprefix(prefix), credit["service_number"], credit["plan_id"],
                parse_day(credit["credit_starts_on"]), parse_day(credit["credit_ends_on"]),
                opening, paid, drawn, expired, opening + paid - drawn - expired,
            )  # fmt: skip

    def _account(self, owner: str, pots: tuple[str, ...], numbers: tuple[s.NumberCharges, ...]) -> s.Account:
        """The account's pots before, what moved them, and after."""
        place = {pot: index for index, pot in enumerate(pots)}
        opening = [0] * len(pots)
        for account, hao in self.openings.get(owner, {}).items():
            opening[place[_pot(account)]] += hao
        sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(pots))
        counts: dict[str, int] = defaultdict(int)
        if "usage" in place:
            opening[place["usage"]] = self.carried_in.get(owner.removeprefix("customer/"), 0)
            _add_calls(sums, counts, place["usage"], numbers)
        prefix = f"{owner}/"
        for posted in self.postings.get(owner, []):
            kind = "rerating" if posted.event_kind == "rerate" else posted.kind
            counts[kind] += 1
            if posted.debit.startswith(prefix):
                sums[kind][place[_pot(posted.debit)]] -= posted.amount_hao
            if posted.credit.startswith(prefix):
                sums[kind][place[_pot(posted.credit)]] += posted.amount_hao
        lines = tuple(
            s.Line(kind, counts[kind] or None, tuple(sums[kind])) for kind in s.LINE_KINDS if kind in sums
        )
        closing = tuple(map(sum, zip(opening, *sums.values(), strict=True)))
        return s.Account(pots, tuple(opening), lines, closing)

    def _entries(self, owner: str) -> Iterator[s.Entry]:
        regular = {
            "minimum_top_up",
            "late_call_adjustment",
            "settlement",
            "credit_expiry",
            "rerating",
            "feature_fee",
        }
        for posted in self.postings.get(owner, []):
            if posted.kind not in regular and posted.event_kind != "rerate":
                total = sum(
                    sign * posted.amount_hao
                    for account, sign in ((posted.debit, -1), (posted.credit, 1))
                    if account.startswith(f"{owner}/")
                )
                yield s.Entry(
                    posted.posting_id, posted.at, posted.kind, total, posted.service_number, posted.reason
                )

    def _vat(self, owner: str, account: s.Account) -> tuple[s.Vat, ...]:
        """By kind of charge; what was reversed has the VAT of its kind."""
        gross: dict[str, int] = defaultdict(int)
        for line in account.lines:
            kind = "call" if line.kind == "late_call" else line.kind
            gross[kind] -= line.total_hao
        for posted in self.postings.get(owner, []):
            if posted.reversed_kind is not None:
                gross[posted.reversed_kind] -= (
                    _sign(posted, owner.split("/", maxsplit=1)[0]) * posted.amount_hao
                )
        rates = self._vat_rates
        return tuple(s.Vat(kind, rates[kind], hao) for kind, hao in gross.items() if rates[kind] and hao)

    @cached_property
    def _vat_rates(self) -> Mapping[str, int]:
        """Kind of charge -> hundredths of a percent on the month's last day."""
        day = first_day(self.month) + timedelta(days=days_in(self.month) - 1)
        return {kind: self.book.vat_percent_hundredths(kind, day) for kind in s.LINE_KINDS}

    def provider_statements(self, only: str | None = None) -> Iterator[s.Statement | s.Unmade]:
        """The providers' statements, by id: features, and sums of their customers and subordinates."""
        for provider_id in self.provider_ids() if only is None else [only]:
            try:
                yield self._provider(provider_id)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one is said of that one
                yield s.Unmade("provider", provider_id, self.month, f"{type(error).__name__}: {error}")

    def _provider(self, provider_id: str) -> s.Statement:
        owner, provider = f"provider/{provider_id}", self.providers[provider_id]
        account = self._account(owner, s.POTS["provider"], ())
        groups = tuple(self._groups(provider_id, 0))
        days = DaySums()
        for group in groups:
            days.add(self._days_by_provider[group.provider.party_id].days())
        fees = tuple(
            s.FeatureFee(
                p.posting_id,
                day_of(p.at),
                p.service_number or "",
                p.reason or "",
                p.amount_hao,
                self.disputes.get(p.posting_id),
            )
            for p in self.postings.get(owner, [])
            if p.kind == "feature_fee"
        )
        return s.Statement(
            head=self._head("P", s.Party(provider_id, provider["name"])),
            account=account,
            vat=self._vat(owner, account),
            entries=tuple(self._entries(owner)),
            days=days.days(),
            part=s.ProviderPart(
                fees, tuple(self.fines[provider_id]), groups, self._above(provider["parent_id"])
            ),
        )

    def _above(self, provider_id: str) -> s.Party | None:
        """The provider that a customer or a provider belongs to; None for the platform, which nobody registers."""
        provider = self.providers.get(provider_id)
        return None if provider is None else s.Party(provider_id, provider["name"])

    @cached_property
    def _customers_of(self) -> Mapping[str, list[str]]:
        return _grouped((one["provider_id"], key) for key, one in sorted(self.customers.items()))

    @cached_property
    def _subordinates_of(self) -> Mapping[str, list[str]]:
        return _grouped((one["parent_id"] or "", key) for key, one in sorted(self.providers.items()))

    def _groups(self, provider_id: str, depth: int) -> Iterator[s.ProviderGroup]:
        provider = self.providers[provider_id]
        charges = [self._sums(customer_id) for customer_id in self._customers_of[provider_id]]
        party = s.Party(provider_id, provider["name"])
        yield s.ProviderGroup(party, depth, tuple(one for one in charges if one is not None))
        for below in self._subordinates_of[provider_id]:
            yield from self._groups(below, depth + 1)

    def _sums(self, customer_id: str) -> s.CustomerCharges | None:
        """What a customer was charged; it stands on the statement of each provider above it."""
        if customer_id not in self._summed and customer_id not in self._failed:
            self._sum_up_all()
        if customer_id in self._failed:
            raise self._failed[customer_id]
        return self._summed[customer_id]

    def _sum_up_all(self) -> None:
        """Sums up the customers whose statements were not asked for, or could not be made."""
        missing = sorted(self.customers.keys() - self._summed.keys())
        called = by_day(self._stream("days")) if self.called.intersection(missing) else iter(())
        for customer_id, calls in _each(missing, called):
            try:
                numbers = tuple(self._numbers(customer_id, calls))
                self._sum_up(customer_id, numbers, summed(number.days for number in numbers))
            except Exception as error:  # noqa: BLE001 - its providers' statements cannot be made
                self._failed[customer_id] = error

    def _sum_up(
        self, customer_id: str, numbers: tuple[s.NumberCharges, ...], days: tuple[s.Day, ...]
    ) -> None:
        if customer_id not in self._summed:  # a statement may be made twice
            self._summed[customer_id] = self._added(customer_id, numbers)
            self._days_by_provider[self.customers[customer_id]["provider_id"]].add(days)

    def _added(self, customer_id: str, numbers: tuple[s.NumberCharges, ...]) -> s.CustomerCharges | None:
        if not numbers:
            return None
        return s.CustomerCharges(
            customer=s.Party(customer_id, self.customers[customer_id]["name"]),
            numbers=len(numbers),
            calls=sum(number.calls for number in numbers),
            billed_s=sum(number.billed_s for number in numbers),
            call_hao=sum(number.call_hao for number in numbers),
            top_up_hao=sum(number.top_up_hao for number in numbers),
            other_hao=sum(
                number.late_hao + number.adjustment_hao + number.rerating_hao for number in numbers
            ),
        )

    def _head(self, letter: str, party: s.Party) -> s.Head:
        close = self.close or {}
        return s.Head(
            number=f"{self.month.replace('-', '')}-{letter}-{party.party_id}",
            party=party,
            month=self.month,
            issuer=self.book.operator,
            issued_at=close["at"],
            calls_seq=close["calls_seq"],
            events_seq=close["seq"] + 1,
            chain_head=self.chain_head,
        )


def _each(customer_ids: Iterable[str], called: Iterator[Called]) -> Iterator[tuple[str, list[NumberCalls]]]:
    """Each of the customers, who come sorted, with its calls, which come sorted too."""
    ahead = next(called, None)
    for customer_id in customer_ids:
        while ahead is not None and ahead[0] < customer_id:
            ahead = next(called, None)
        yield customer_id, ahead[1] if ahead is not None and ahead[0] == customer_id else []


def _head_after(chain: Chain, seq: int) -> str:
    """The chain's head once the row `seq` was committed: what the statement can be proven by."""
    return next((link.head for _, link in chain.links() if link is not None and link.seq_to > seq), "")


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _owner(account: str) -> str | None:
    kind, owner, *_ = account.split("/", 2)
    return f"{kind}/{owner}" if kind in {"customer", "provider"} else None


def _pot(account: str) -> str:
    """Of what a customer or provider has: `cash` of `customer/C1/cash`."""
    return account.split("/", 3)[2]


def _sign(posted: Posted, kind: str) -> int:
    """+1 if the amount comes to an account of this kind, -1 if it leaves one."""
    return 1 if posted.credit.startswith(f"{kind}/") else -1


def _add_calls(
    sums: dict[str, list[int]], counts: dict[str, int], place: int, numbers: tuple[s.NumberCharges, ...]
) -> None:
    for number in numbers:
        if number.calls:
            sums["call"][place] -= number.call_hao
            counts["call"] += number.calls
        if number.late_calls is not None and number.late_calls.num_rows:
            sums["late_call"][place] -= number.late_hao
            counts["late_call"] += number.late_calls.num_rows
