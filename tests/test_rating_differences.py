"""The columns of a re-rating say what the rule says call by call; calls that were rated cost what `rate` would say."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import accounts
from rating.accounts import REVENUE_CALLS, Posting
from rating.differences import REPRICED, differences
from rating.posting_columns import as_columns, as_postings, moved_hao, payers
from rating.state import State

CLOSED = "2026-08"


def a_state() -> State:
    state = State()
    state.facts.put("closed_month", CLOSED)
    return state


@st.composite
def repriced(draw: st.DrawFn) -> dict[str, Any]:
    payer = draw(st.sampled_from(["C1", "C2", None]))
    return {
        "call_id": draw(st.sampled_from(["k1", "k2", "call/k1", "一"])),
        "service_number": draw(st.sampled_from(["4001170391", "8008100000"])),
        "month": draw(st.sampled_from(["2026-07", "2026-08", "2026-09"])),
        "customer_id": draw(st.sampled_from(["C1", "C2"])),
        "provider_id": "P1",
        "charged_hao": draw(st.sampled_from([0, 3000, 10**14])),
        "payer_id": payer,
        "payer_provider_id": None if payer is None else "P2",
        "fee_hao": 0 if payer is None else draw(st.sampled_from([0, 3000, 4000])),
    }


def one_by_one(state: State, calls: list[dict[str, Any]]) -> list[Posting]:
    """The rule as it is written: the difference, or the charge taken back and made anew with another payer."""
    postings = []
    for call in calls:
        ours = (call["customer_id"], call["provider_id"])
        charges = [(*ours, call["fee_hao"] - call["charged_hao"])]
        if call["payer_id"] != call["customer_id"]:
            charges = [(*ours, -call["charged_hao"])]
            charges.append((call["payer_id"], call["payer_provider_id"], call["fee_hao"]))
        for who, provider, hao in charges:
            usage = accounts.usage(who or "")
            debit, credit = (usage, REVENUE_CALLS) if hao > 0 else (REVENUE_CALLS, usage)
            month = call["month"]
            posting = Posting(
                "rerating", state.billed_month(month), debit, credit, abs(hao), call["service_number"], who, provider,
                f"call/{call['call_id']}", f"call of {month}",
            )  # fmt: skip
            postings += [posting] if hao else []
    return postings


@settings(deadline=None)
@given(st.lists(repriced(), max_size=12))
def test_columns_hold_what_the_rule_says_call_by_call(calls: list[dict[str, Any]]) -> None:
    """R-CALL-8 R-INV-3 F-15: the same postings in the same order, and their sums."""
    state = a_state()
    found = differences(state, pa.Table.from_pylist(calls, schema=REPRICED))
    expected = one_by_one(state, calls)
    assert as_postings(found.postings) == expected
    sums: dict[tuple[str, ...], int] = defaultdict(int)
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for posting in expected:
        signed = posting.amount_hao if posting.credit == REVENUE_CALLS else -posting.amount_hao
        month = str(posting.reason).removeprefix("call of ")
        sums[str(posting.service_number), str(posting.customer_id), month] += signed
        moved[posting.debit, posting.month] -= posting.amount_hao
        moved[posting.credit, posting.month] += posting.amount_hao
    assert found.moved_hao == {key: hao for key, hao in sums.items() if hao}
    assert moved_hao(found.postings) == moved
    assert payers(found.postings) == list(dict.fromkeys(f"customer/{one.customer_id}" for one in expected))


def test_postings_become_columns_and_come_back() -> None:
    """R-INV-4: what may be null stays null."""
    bare = Posting("payment", "2026-08", "platform/bank", "customer/C1/cash", 10**15 - 1)
    full = Posting("reversal", "2026-08", "a/b", "c/d", 1, "4001170391", "C1", "P1", "7-1", "因为")
    assert as_postings(as_columns([bare, full])) == [bare, full]
    assert as_postings(as_columns([])) == []
