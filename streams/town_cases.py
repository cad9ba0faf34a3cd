"""What happens in the demo's town beside its calls: one more number's whole life, a dispute, a fine, a late rate.

These commands name what the ledger decided (a posting, a fine), so they are written while the town runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from ledger import scan
from ledger.home import Home
from rating.calendar import SHANGHAI, day_of, first_day, instant_text
from rating.money import yuan_text
from rating.state import Number, State
from rating.working_days import end_after
from streams.town_commands import DOCUMENTS

NEWCOMER, NEWCOMER_OF = "C900", "P02"
DISPUTED = "D-1"
LOWERED_BY_HAO = 200
_Case = tuple[datetime, str, dict[str, Any]]


def write_cases(home: Home, month: str, number: str, path: Path) -> None:
    """The month's cases as JSON Lines; `number` is a free one, whose whole life they tell."""
    cases = [
        *_life(number, month),
        *_dispute(home, month),
        *_fine(home.state, month),
        *_late_rate(home.state, month),
    ]
    lines = [
        {"command_id": f"case-{month}-{place:02d}", "at": instant_text(at), "kind": kind, **fields}
        for place, (at, kind, fields) in enumerate(sorted(cases, key=lambda case: case[0]), start=1)
    ]
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")


def _at(month: str, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(first_day(month), time(hour, minute), SHANGHAI) + timedelta(days=day - 1)


def _life(number: str, month: str) -> Iterator[_Case]:
    """From stock through every state and back to free, with what is refused on the way."""

    def step(day: int, hour: int, kind: str, **fields: object) -> _Case:
        return _at(month, day, hour), kind, {"service_number": number, **fields}

    name = "历下区老街坊面馆"
    yield (
        _at(month, 2, 9),
        "register_customer",
        {"customer_id": NEWCOMER, "provider_id": NEWCOMER_OF, "name": name},
    )
    yield step(2, 10, "hold_number", provider_id=NEWCOMER_OF)
    starts_on = _at(month, 2, 11).date().isoformat()
    yield step(2, 11, "sign_contract", customer_id=NEWCOMER, plan_id="PAYG", starts_on=starts_on)
    yield step(3, 9, "activate_number")  # refused: its holder's name is not approved
    yield step(3, 10, "submit_documents", documents=DOCUMENTS)
    yield step(3, 14, "approve_real_name")
    yield step(3, 15, "activate_number")
    yield step(5, 10, "set_minimum", minimum="80.00")  # refused: it can only be raised
    yield step(6, 10, "suspend_number", reason="店铺装修，客户要求停机")
    yield step(8, 10, "resume_number", reason="装修完毕")
    yield step(9, 10, "freeze_number", reason="complaint")
    yield step(11, 10, "unfreeze_number", reason="投诉已核实处理")
    yield step(12, 10, "require_real_name", deadline_days=30)
    yield step(13, 10, "approve_real_name")
    yield step(16, 10, "reclaim_number", reason="arrears")  # refused: it owes nothing
    yield step(17, 10, "confirm_disuse")
    yield step(18, 10, "reclaim_number", reason="customer_request")
    yield step(18, 11, "release_number")


def _dispute(home: Home, month: str) -> Iterator[_Case]:
    """The first charge for a feature is disputed and taken back."""
    found = scan.ask(
        f"SELECT seq || '-' || list_position(p_kind, 'feature_fee') AS posting_id FROM {home.events.scan_sql()} "
        "WHERE outcome = 'accepted' AND list_contains(p_kind, 'feature_fee') ORDER BY seq LIMIT 1"
    ).to_pylist()
    for row in found:
        disputed = {"posting_id": row["posting_id"], "reason": "客户从未订购", "dispute_id": DISPUTED}
        yield _at(month, 10, 9), "open_dispute", disputed
        yield _at(month, 12, 9), "settle_dispute", {"dispute_id": DISPUTED, "outcome": "reversed"}


def _fine(state: State, month: str) -> Iterator[_Case]:
    """A number was sold on and not rectified in time; the provider pays its fine on the day after."""
    sold = next((one for one in _in_use(state) if one.contracts[-1].provider_id == "P05"), None)
    if sold is None:
        return
    noticed_at = _at(month, 4, 10)
    fined_at, _ = end_after(noticed_at, state.book.penalties.rectify_working_days, state.book.working_days)
    number = {"service_number": sold.service_number}
    yield noticed_at, "notice_secondary_sale", number
    yield fined_at + timedelta(hours=10), "pay_fine", {"fine_id": f"{sold.service_number}-{day_of(fined_at)}"}
    yield fined_at + timedelta(hours=11), "confirm_rectified", number


def _late_rate(state: State, month: str) -> Iterator[_Case]:
    """A lower rate that was agreed before the month and recorded on its 25th: its calls are re-rated."""
    for number in _in_use(state):
        rate_hao = number.contracts[-1].rates[-1][1]
        if rate_hao > 2 * LOWERED_BY_HAO:
            rate = yuan_text(rate_hao - LOWERED_BY_HAO)
            agreed = {"service_number": number.service_number, "rate": rate, "from_month": month}
            yield _at(month, 25, 15), "change_rate", agreed
            return


def _in_use(state: State) -> Iterator[Number]:
    """Numbers that were active before anything barred them, in the order in which they were added."""
    return (one for one in state.numbers.values() if one.stage == "active" and not one.bars)
