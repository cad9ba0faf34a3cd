"""A ledger in memory, so that thousands of histories can be tried: the rules without tables or files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from rating import accounts, business, closing, follow, minimums, price_book, rerating
from rating.accounts import Change, Event
from rating.calendar import instant_text, month_of, next_month
from rating.calls import rate
from rating.catalogue import CHANGES, Catalogue, compile_changes
from rating.commands import read_command
from rating.differences import REPRICED, differences
from rating.follow import Spent
from rating.money import from_decimal_array, to_yuan
from rating.posting_columns import postings_of
from rating.records import RECORD
from rating.state import State


def _as_table(changes: Iterable[tuple[int, Change]]) -> pa.Table:
    """Changes with their event's seq, as the catalogue takes them."""
    rows = []
    for seq, change in changes:
        row = {name: getattr(change, name, None) for name in CHANGES.names} | {"seq": seq}
        row["rate"], row["minimum"] = (
            None if hao is None else to_yuan(hao) for hao in (change.rate_hao, change.minimum_hao)
        )
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=CHANGES)


@dataclass(frozen=True)
class Call:
    """A rated call, as it was charged at first."""

    spent: Spent
    start: datetime
    minutes: int
    provider_id: str


@dataclass
class PaperLedger:
    """The state, what was recorded of it, and the calls."""

    state: State = field(default_factory=State)
    events: list[tuple[int, Event]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    rejected: int = 0
    catalogue: Catalogue | None = None
    sent: int = 0
    """commands but ticks"""

    def begin(self, at: datetime, book: str | None = None) -> None:
        effect = {"price_book": book or price_book.default_text(), "name": "paper.toml"}
        event = Event("price_book/0", "adopt_price_book", at, effect)
        business.decided(self.state, event)
        self.note(event)

    def copy(self) -> PaperLedger:
        """Another one that goes on from here; a catalogue never changes, so both keep theirs."""
        return PaperLedger(
            deepcopy(self.state), [*self.events], [*self.calls], self.rejected, self.catalogue, self.sent
        )

    def note(self, *events: Event) -> None:
        """Records events that are folded in already."""
        self.events += [(len(self.calls), event) for event in events]
        first = self.state.events_seq - len(events)
        changes = _as_table((seq, one) for seq, event in enumerate(events, first) for one in event.changes)
        terms, seq = self.state.book.terms(), self.state.events_seq
        if self.catalogue is None:
            self.catalogue = compile_changes(changes, terms, events_seq=seq)
        elif len(changes):
            self.catalogue = self.catalogue.patched(changes, terms, events_seq=seq)

    def command(self, kind: str, at: datetime, **fields: Any) -> Event:
        """Decides a command and what follows from it; gives its own event."""
        command_id = f"c{self.sent}" if kind != "tick" else f"tick at {instant_text(at)}"
        self.sent += kind != "tick"
        value = {"command_id": command_id, "kind": kind, "at": instant_text(at), **fields}
        command = read_command(value, business.fields_of)
        events = business.handle(self.state, command, command.at)
        self.note(*events)
        self.rerate_due()
        return next(event for event in events if event.command_id == command_id)

    def call(self, number: str, start: datetime, minutes: int, received_at: datetime) -> Call | None:
        """A call's charge and what follows from it; None if it is rejected."""
        owner = self._price(number, start, minutes, received_at)
        if owner is None:
            self.rejected += 1
            return None
        customer_id, provider_id, fee_hao = owner
        seq = len(self.calls)
        spent = Spent(seq, f"k{seq}", number, customer_id, month_of(start), fee_hao, received_at)
        before = self.usage()
        self.calls.append(Call(spent, start, minutes, provider_id))
        latest = self.state.facts.get("latest_start")
        if latest is None or start > latest:
            self.state.facts.put("latest_start", start)
        totals = {(customer_id, spent.month): fee_hao} if fee_hao else {}
        if follow.careful_customers(self.state, totals):
            follow.follow_calls(self.state, [spent], before, lambda event, _seq, _at: self.note(event))
        else:
            follow.fold_totals(self.state, totals)
        self.state.facts.put("calls_seq", len(self.calls))
        return self.calls[-1]

    def close(self, month: str, at: datetime) -> None:
        for event in business.what_fell_due(self.state, at):
            self.note(event)
        self.rerate_due()
        for one in closing.months_to_close(self.state, month):
            usage = {key[:2]: hao for key, hao in self.usage().items() if key[2] == one}
            self.note(*business.close_month(self.state, one, at, usage))

    def usage(self) -> dict[tuple[str, str, str], int]:
        """(number, customer, month) -> hao of its calls, re-ratings included."""
        found: dict[tuple[str, str, str], int] = defaultdict(int, self.state.rerated)
        for call in self.calls:
            found[call.spent.service_number, call.spent.customer_id, call.spent.month] += call.spent.fee_hao
        return found

    def charges(self, call: Call) -> dict[str, int]:
        """customer -> hao that a call is charged by now."""
        found = defaultdict(int, {call.spent.customer_id: call.spent.fee_hao})
        for _, event in self.events:
            for posting in postings_of(event):
                if posting.reverses == f"call/{call.spent.call_id}":
                    charged = posting.debit == accounts.usage(str(posting.customer_id))
                    found[str(posting.customer_id)] += posting.amount_hao if charged else -posting.amount_hao
        return found

    def price(self, call: Call) -> dict[str, int]:
        """customer -> hao that it would be charged if it came now; nobody if it would be rejected."""
        now = self._price(call.spent.service_number, call.start, call.minutes, call.spent.received_at)
        return {} if now is None else {now[0]: now[2]}

    def price_at(self, number: str, at: datetime) -> tuple[str, str, int] | None:
        """(customer, provider, hao) of a minute that begins at `at`; None if it would be rejected."""
        return self._price(number, at, 1, at)

    def topped_up(self) -> dict[tuple[str, str, str], int]:
        """(number, customer, month) -> hao of its top-ups less adjustments, whenever they were posted."""
        found: dict[tuple[str, str, str], int] = defaultdict(int)
        for _, event in self.events:
            for posting in event.postings:
                if posting.kind in {"minimum_top_up", "late_call_adjustment"}:
                    month = str(posting.reason).removeprefix("top-up of ")
                    sign = 1 if posting.kind == "minimum_top_up" else -1
                    key = (str(posting.service_number), str(posting.customer_id), month)
                    found[key] += sign * posting.amount_hao
        return found

    def due_top_ups(self) -> dict[tuple[str, str, str], int]:
        """(number, customer, month) -> max(0, minimum - calls) of every closed month (R-MIN-7)."""
        found: dict[tuple[str, str, str], int] = {}
        usage, closed = self.usage(), self.state.closed_month
        for number in self.state.numbers.values():
            for contract in number.contracts:
                month = "9999-12" if contract.activated_at is None else month_of(contract.activated_at)
                while closed is not None and month <= closed:
                    key = (number.service_number, contract.customer_id, month)
                    minimum_hao = minimums.charged_minimum(contract, month).minimum_hao
                    found[key] = max(found.get(key, 0), minimum_hao - usage.get(key, 0))
                    month = next_month(month)
        return found

    def folded_anew(self) -> State:
        """Another state, from the recorded events and the calls that each had seen."""
        state = State()
        done = 0
        for calls_seq, event in [*self.events, (len(self.calls), None)]:
            for call in self.calls[done:calls_seq]:
                totals = {(call.spent.customer_id, call.spent.month): call.spent.fee_hao}
                follow.fold_totals(state, totals if call.spent.fee_hao else {})
            done = calls_seq
            state.facts.put("calls_seq", done)
            if event is not None:
                business.fold(state, event)
        if self.calls:
            state.facts.put("latest_start", max(call.start for call in self.calls))
        return state

    def _price(
        self, number: str, start: datetime, minutes: int, received_at: datetime
    ) -> tuple[str, str, int] | None:
        end = start + timedelta(minutes=minutes)
        record = dict.fromkeys(RECORD.names) | {
            "call_id": "k", "service_number": number, "start_at": start, "answer_at": start, "end_at": end,
            "raw": b"{}", "source_pos": 0,
        }  # fmt: skip
        assert self.catalogue is not None
        rated = rate(pa.Table.from_pylist([record], schema=RECORD), self.catalogue, max(received_at, end))
        row = rated.select(["outcome", "customer_id", "provider_id"]).to_pylist()[0]
        if row["outcome"] != "rated":
            return None
        return row["customer_id"], row["provider_id"], int(from_decimal_array(rated.column("owner_fee"))[0])

    def rerate_due(self) -> None:
        """What `ledger.rerate` does with tables."""
        while (cause := rerating.next_due(self.state)) is not None:
            reach = rerating.reach(cause)
            touched = [
                call for call in self.calls
                if call.spent.service_number in reach and call.start >= reach[call.spent.service_number]
            ]  # fmt: skip
            calls = pa.Table.from_pylist([self._repriced(call) for call in touched], schema=REPRICED)
            found = differences(self.state, calls)
            event = rerating.rerate(self.state, cause, len(touched), found, self.usage())
            business.decided(self.state, event)
            self.note(event)
            self.note(*business.consequences(self.state, event))

    def _repriced(self, call: Call) -> dict[str, Any]:
        spent = call.spent
        charged = {customer: hao for customer, hao in self.charges(call).items() if hao}
        customer, hao = next(iter(charged.items()), (spent.customer_id, 0))
        now = self._price(spent.service_number, call.start, call.minutes, spent.received_at)
        payer, provider, fee = now or (None, None, 0)
        return {
            "call_id": spent.call_id,
            "service_number": spent.service_number,
            "month": spent.month,
            "customer_id": customer,
            "provider_id": call.provider_id,
            "charged_hao": hao,
            "payer_id": payer,
            "payer_provider_id": provider,
            "fee_hao": fee,
        }
