"""Properties of the business rules: random histories, most of them absurd, against what must always hold."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating import business
from rating.accounts import Event
from rating.calendar import month_of, next_month
from rating.commands import read_command
from rating.price_book import default_text
from rating.reasons import Reason
from rating.segments import BILLABLE
from rating.state import State
from tests.paper_ledger import PaperLedger
from tests.scenario import instant, priced
from tests.scenario_then import folded

LOCKED, PREPAID, PAYG, SPECIAL, FREE = "4001170391", "4001170392", "4001170393", "4001176666", "4001170394"
NUMBERS = (LOCKED, PREPAID, PAYG, SPECIAL, FREE)
DOCUMENTS = ["business_licence", "tax_registration", "organisation_code"]
START = instant("2026-07-01 09:00")
"""When everybody is registered; the histories begin a month later."""
ONWARD = {
    "free": ("hold_number", {"provider_id": "P1", "intent_id": "I1"}),
    "held": ("sign_contract", {"customer_id": "C1", "plan_id": "PAYG", "starts_on": "2026-09-01"}),
    "locked": ("submit_documents", {"documents": DOCUMENTS}),
    "documents_submitted": ("approve_real_name", {}),
    "real_name_approved": ("activate_number", {}),
    "reclaimed": ("release_number", {}),
}  # fmt: skip
"""The next step of a number's life, by its state."""


def a_town() -> PaperLedger:
    """Two trees, two customers, two active numbers, one locked, a special and an ordinary one free; ivr is monthly."""
    ledger = PaperLedger()
    ledger.begin(START, priced(default_text(), '{id = "ivr", price = "50", period = "month"}'))
    for provider, parent in (("P1", None), ("P11", "P1"), ("P2", None)):
        ledger.command("register_provider", START, provider_id=provider, name=provider, parent_id=parent)
    for customer, provider in (("C1", "P1"), ("C2", "P2")):
        ledger.command("register_customer", START, customer_id=customer, provider_id=provider, name=customer,
                       low_balance="40.00")  # fmt: skip
    for number in NUMBERS:
        ledger.command("add_number", START, service_number=number)
    at = START + timedelta(hours=1)
    for number, customer, provider, plan in (
        (PREPAID, "C1", "P1", "Y600"),
        (PAYG, "C2", "P2", "PAYG"),
        (LOCKED, "C1", "P11", "PAYG"),
    ):
        ledger.command("hold_number", at, service_number=number, provider_id=provider)
        ledger.command("sign_contract", at, service_number=number, customer_id=customer, plan_id=plan,
                       starts_on="2026-07-01", rate="0.15")  # fmt: skip
    for number in (PREPAID, PAYG):
        for kind, more in (ONWARD["locked"], ONWARD["documents_submitted"], ONWARD["real_name_approved"]):
            ledger.command(kind, at, service_number=number, **more)
    ledger.command(
        "submit_intent", at, intent_id="I1", provider_id="P1", service_number=SPECIAL, prospect="Ms Wang"
    )
    ledger.command("approve_intent", at, intent_id="I1")
    ledger.state.keep()
    return ledger


TOWN = a_town()

VERBS = ("onward", "onward", "call", "call", "call", "late call", "close", "tick", "receive_payment", "reverse_posting",
         "change_rate", "set_minimum", "enable_feature", "disable_feature", "renew_contract", "hold_number",
         "release_number", "sign_contract", "submit_documents", "approve_real_name", "reject_real_name",
         "activate_number", "register_provider", "register_customer", "add_number", "submit_intent",
         "suspend_number", "resume_number", "freeze_number", "unfreeze_number", "confirm_disuse", "reclaim_number",
         "reclaim_number", "release_number", "transfer_number", "complain_no_service", "require_real_name",
         "suspect_fraud", "clear_suspicion", "confirm_fraud", "declare_serious", "notice_secondary_sale",
         "confirm_rectified", "issue_fine", "pay_fine", "open_dispute", "settle_dispute", "refund", "write_off")  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.integers(0, len(NUMBERS) - 1),
        st.integers(0, 11),
        st.sampled_from([0, 1, 25, 60 * 24, 60 * 24 * 11, 60 * 24 * 31]),
        st.sampled_from([0, 0, 0, 60 * 24 * 3, 60 * 24 * 40]),
    ),
    max_size=30,
)
"""What, with which number, with which of several values, how many minutes after the last step, recorded how late."""

AMOUNTS = (
    "0.01",
    "5.00",
    "12.50",
    "30.00",
    "49.99",
    "50.00",
    "80.00",
    "100.00",
    "0.00",
    "-1.00",
    "250.005",
    "1000.00",
)
RATES = ("0.15", "0.12", "0.30", "0.10", "0.60", "0.20", "0", "-0.10", "20000", "0.0001", "0.15", "0.45")
REASONS = ("customer_request", "arrears", "complaint", "fraud", "overdue_fine", "said so")
FEATURES = ("ivr", "recording", "time_routing", "teleport")
LATE_ONLY = {"change_rate", "set_minimum", "activate_number", "enable_feature", "onward", "freeze_number",
             "unfreeze_number", "reclaim_number", "transfer_number", "complain_no_service"}  # fmt: skip
"""What may be recorded late here; state that depends on arrears is decided as it is recorded."""


def fields_of(verb: str, number: str, which: int, ledger: PaperLedger) -> dict[str, Any]:
    """The fields of a command, sensible or not."""
    provider, customer = ("P1", "P11", "P2", "platform", "P9")[which % 5], ("C1", "C2", "C9")[which % 3]
    postings = sorted(ledger.state.gathered)
    month = (None, None, "2026-08", "2026-09", "2026-10", "2027-01")[which % 6]
    return {
        "service_number": number, "provider_id": provider, "customer_id": customer, "name": "x",
        "parent_id": ("P1", "P2", "P9")[which % 3], "intent_id": ("I1", "I2", None)[which % 3], "prospect": "Ms Wang",
        "plan_id": ("Y600", "PAYG", "T2000", "Y601")[which % 4], "starts_on": ("2026-08-01", "2028-02-29")[which % 2],
        "rate": RATES[which], "minimum": AMOUNTS[which], "from_month": month, "amount": AMOUNTS[which],
        "account": f"customer/{customer}" if which % 4 else f"provider/{provider}", "reference": "slip",
        "feature": FEATURES[which % 4], "documents": DOCUMENTS[: 1 + which % 3], "reason": REASONS[which % 6],
        "deadline_days": (None, 0, 10, -1)[which % 4], "legitimate": (None, False)[which % 2],
        "outcome": ("reversed", "upheld")[which % 2], "dispute_id": max(ledger.state.disputes, default="D0"),
        "fine_id": max(ledger.state.fines, default="F0"),
        "posting_id": postings[which * 7 % len(postings)] if postings else "1-1",
    }  # fmt: skip


class History:
    """One random history of the town."""

    def __init__(self) -> None:
        self.ledger = TOWN.copy()
        self.now = START + timedelta(days=31)

    @property
    def state(self) -> State:
        return self.ledger.state

    def step(self, verb: str, place: int, which: int, minutes: int, late: int) -> None:
        self.now += timedelta(minutes=minutes)
        number = NUMBERS[place]
        at = self.now - timedelta(minutes=late if verb in LATE_ONLY else 0)
        if verb == "call":
            self.ledger.call(number, self.now, which * 9, self.now + timedelta(minutes=which * 9))
        elif verb == "late call":
            self.ledger.call(number, self.now - timedelta(days=5 * which), 37, self.now)
        elif verb == "close":
            self.close()
        elif verb == "onward":
            kind, more = ONWARD.get(self.state.numbers[number].state, ("tick", {}))
            self.command(kind, at, {"service_number": number, **more})
        else:
            values = fields_of(verb, number, which, self.ledger)
            if verb in {"issue_fine", "open_dispute"}:  # mostly a new one
                values |= {"fine_id": None, "dispute_id": None} if which else {}
            self.command(verb, at, values)

    def close(self) -> None:
        self.ledger.close(next_month(month_of(self.now), -1), self.now)

    def command(self, kind: str, at: datetime, values: dict[str, Any]) -> Event:
        """A command; if it is refused it must have changed nothing but the number of events."""
        known = business.fields_of(kind) or {}
        values = {name: value for name, value in values.items() if name in known}
        self.ledger.note(*business.what_fell_due(self.state, at))
        self.ledger.rerate_due()
        before = folded(self.state)
        event = self.ledger.command(kind, at, **values)
        if event.outcome == "refused":
            before["facts"]["events_seq"] += 1
            assert folded(self.state) == before, f"{kind} was refused and changed the state"
            assert event.reason is not None and event.detail and not event.postings and not event.changes
        return event

    def tag(self, number: str) -> str | None:
        """The tag that holds now by what was recorded."""
        changes = [
            (change.from_at, seq, change.value)
            for seq, (_, event) in enumerate(self.ledger.events)
            for change in event.changes
            if (change.number, change.facet) == (number, "tag") and change.from_at <= self.now
        ]
        return max(changes, key=lambda one: one[:2])[2] if changes else None

    # what always holds

    def check(self) -> None:
        state, ledger = self.state, self.ledger
        fees = sum(call.spent.fee_hao for call in ledger.calls)
        usage = sum(sum(months.values()) for months in state.usage.values())
        assert sum(state.leaves.values()) + usage + fees == 0, "accounts do not sum to zero"
        for account, hao in state.balances.items():
            kind, owner = account.split("/")
            leaves = sum(amount for leaf, amount in state.leaves.items() if leaf.startswith(f"{account}/"))
            assert hao == leaves + (sum(state.usage.get(owner, {}).values()) if kind == "customer" else 0)
        for number in state.numbers.values():
            in_force = [contract for contract in number.contracts if contract.ended_at is None]
            assert len(in_force) <= 1, "a number has two holders"
            assert (number.stage == "active") == any(c.activated_at for c in in_force)
            assert (number.stage in {"free", "held", "reclaimed"}) == (not in_force)
            assert not number.bars or in_force, "nobody's number is barred"
        for fine in state.fines.values():
            assert (("fine_overdue", fine.fine_id) in state.due) == (fine.state == "open")
        for call in ledger.calls:
            charges = {customer: hao for customer, hao in ledger.charges(call).items() if hao}
            owed = {customer: hao for customer, hao in ledger.price(call).items() if hao}
            assert charges == owed, (
                "a call is not charged to its holder at its rate; a free number is charged nothing"
            )
        for number in state.numbers.values():
            price = ledger.price_at(number.service_number, self.now)
            assert (price is not None) == (number.state in BILLABLE), "the catalogue knows another state"
            held = number.contract
            assert price is None or (
                held is not None and price[:2] == (held.customer_id, held.provider_id)
            ), "the catalogue knows another holder"
            assert number.restricted == (self.tag(number.service_number) == "restricted")
        assert not [leaf for leaf, hao in state.leaves.items() if "/credit/" in leaf and hao < 0]
        ours = [event.command_id for _, event in ledger.events if event.kind not in business.KINDS]
        assert len(ours) == len(set(ours)), "two decisions of our own have the same id (R-INV-6)"
        topped_up = ledger.topped_up()
        for key, hao in ledger.due_top_ups().items():
            assert topped_up.pop(key, 0) == hao, f"the top-up of {key} is not max(0, minimum - calls)"
        assert not any(topped_up.values()), "a top-up that nobody owes"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whatever_happens_the_books_are_right(steps: list[tuple[str, int, int, int, int]]) -> None:
    """R-INV-2 R-INV-6 R-NUM-1 R-MIN-7 F-06 F-07 F-15: sums, holders, who is billed, top-ups; what is refused changes nothing."""
    history = History()
    for step in steps:
        history.step(*step)
    history.close()
    history.check()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(0, 25))
def test_the_events_folded_anew_give_the_same_state(
    steps: list[tuple[str, int, int, int, int]], closes: int
) -> None:
    """R-INV-5."""
    history = History()
    for place, step in enumerate(steps):
        history.step(*step)
        if place == closes:
            history.close()
    assert folded(history.ledger.folded_anew()) == folded(history.state)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, STEPS)
def test_what_is_taken_back_never_was(
    kept: list[tuple[str, int, int, int, int]], lost: list[tuple[str, int, int, int, int]]
) -> None:
    """F-16: a decision whose commit lost the race leaves no trace, and what is due is due as before."""
    history = History()
    for step in kept:
        history.step(*step)
    state = history.state
    state.keep()
    before, due_before = folded(state), all_due(state)
    for step in lost:
        history.step(*step)
    state.take_back()
    assert folded(state) == before
    assert not state.gathered
    assert all_due(state) == due_before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(1, 120))
def test_ticking_daily_or_once_after_weeks_ends_alike(
    steps: list[tuple[str, int, int, int, int]], days: int
) -> None:
    """R-ARR-1: what falls due is dated at its instant, so the ledgers are the same but for the rows of the ticks."""
    history = History()
    for step in steps:
        history.step(*step)
    ledgers = []
    for ticks in ([days], range(1, days + 1)):
        ledger = history.ledger.copy()
        for day in ticks:
            ledger.command("tick", history.now + timedelta(days=day))
        ledger.command("receive_payment", history.now + timedelta(days=days), account="customer/C1",
                       amount="5000.00", reference="slip")  # fmt: skip
        ledgers.append(ledger)
    once, daily = ([event for event in ledger.events if event[1].kind != "tick"] for ledger in ledgers)
    assert once == daily
    states = [folded(ledger.state) for ledger in ledgers]
    for state in states:
        del state["facts"]["events_seq"], state["fined_by"]  # both count the rows of ticks
        state["fines"] = [fine._replace(posting_id="") for fine in state["fines"].values()]
    assert states[0] == states[1]


def all_due(state: State) -> list[tuple[datetime, str, str]]:
    """Everything that is scheduled, in the order in which it would happen; the state is a copy."""
    copy, found = deepcopy(state), []
    while (due := copy.next_due(instant("2190-01-01 00:00"))) is not None:
        found.append(due)
        copy.unschedule(due[1], due[2])
    return found


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
@pytest.mark.parametrize("closed_before", [False, True])
def test_facts_in_any_order_end_in_the_same_balances(order: tuple[int, ...], closed_before: bool) -> None:
    """F-15: rates, minimums and features that were asked for one after another, recorded in another order or after the close."""
    facts = [
        ("change_rate", "2026-08-10 10:00", {"rate": "0.30"}),
        ("set_minimum", "2026-08-20 10:00", {"minimum": "120.00", "from_month": "2026-10"}),
        ("change_rate", "2026-09-10 10:00", {"rate": "0.12"}),
        ("enable_feature", "2026-09-12 10:00", {"feature": "recording"}),
    ]
    ledger = TOWN.copy()
    for day, minutes in ((5, 100), (40, 50), (70, 400)):
        start = START + timedelta(days=day)
        assert ledger.call(PREPAID, start, minutes, start + timedelta(minutes=minutes)) is not None
    if closed_before:
        ledger.close("2026-10", instant("2026-11-01 00:10"))
    for place in order:
        kind, at, fields = facts[place]
        assert ledger.command(kind, instant(at), service_number=PREPAID, **fields).outcome == "accepted"
    ledger.close("2026-10", instant("2026-11-01 00:10"))
    # 100 min at 0.15 in July, its opening month; August 50 min at 0.15 to 50.00; September 400 min at 0.30 make
    # 120.00, more than 100.00; October 120.00
    assert ledger.state.balance("customer/C1") == 6_000_000 - 150_000 - 500_000 - 1_200_000 - 1_200_000
    assert ledger.state.balance("provider/P1") == -1_000_000
    assert ledger.topped_up() == ledger.due_top_ups() or {
        k: v for k, v in ledger.topped_up().items() if v
    } == {k: v for k, v in ledger.due_top_ups().items() if v}


def test_every_reason_is_explained() -> None:
    """R-INV-1: the closed list says of each reason what it means and what to do."""
    assert all(reason.meaning and reason.what_to_do for reason in Reason)


def test_a_command_that_names_no_field_of_its_kind_is_read_all_the_same() -> None:
    """What a kind does not know is kept in the payload and decides nothing."""
    value = {"command_id": "c", "kind": "tick", "at": "2026-08-01T00:00:00+08:00", "colour": "red"}
    assert read_command(value, business.fields_of).fields == {}
