"""Statements that add up, made from a few numbers: `a_customer(numbers=[a_number(calls=40)])`, `a_provider()`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from rating.calendar import day_of, days_in, end_of_month, first_day, next_month, start_of_month
from rating.money import from_decimal_array, to_decimal_array
from reports.statement import (
    CALLS,
    LATE_CALLS,
    POTS,
    Account,
    Credit,
    CustomerCharges,
    CustomerPart,
    Day,
    Entry,
    FeatureFee,
    Fine,
    Head,
    Line,
    NumberCharges,
    Party,
    ProviderGroup,
    ProviderPart,
    Statement,
    Step,
    Vat,
)

MONTH = "2026-11"
AREAS = ("山东济南", "北京", "上海", "广东广州", "云南西双版纳", "四川成都", "浙江杭州", "新疆乌鲁木齐")
_ADJUSTMENT_HAO = 15_000
_MINIMUM_HAO = 500_000


def some_calls(
    count: int,
    seed: int = 1,
    *,
    month: str = MONTH,
    rate_hao: int = 1500,
    late: bool = False,
    tags: Sequence[str] = (),
) -> pa.Table:
    """`count` calls of a month with a working day's rhythm, one in nine unanswered; a table of CALLS or LATE_CALLS."""
    rng = random.Random(seed)
    start, days = start_of_month(month), days_in(month)
    starts = sorted(
        start
        + timedelta(days=rng.randrange(days), seconds=min(86_399, max(0, int(rng.gauss(50_400, 11_000)))))
        for _ in range(count)
    )
    durations = [0 if rng.random() < 0.11 else 1 + int(rng.lognormvariate(4.6, 1)) for _ in starts]
    billed = np.array([-(-seconds // 60) * 60 for seconds in durations], dtype=np.int64)
    fees = billed // 60 * rate_hao
    columns = {
        "call_id": pa.array([f"{seed}-{at}" for at in range(count)], pa.string()),
        "start_at": pa.array(starts, CALLS.field("start_at").type),
        "caller_number": pa.array([_caller(rng) for _ in starts], pa.string()),
        "caller_area": pa.array([rng.choice(AREAS) for _ in starts], pa.string()),
        "answered": pa.array([seconds > 0 for seconds in durations], pa.bool_()),
        "duration_s": pa.array(durations, pa.int64()),
        "billed_s": pa.array(billed),
        "rate": to_decimal_array(np.full(count, rate_hao, dtype=np.int64)),
        "owner_fee": to_decimal_array(fees),
        "caller_estimate": to_decimal_array(billed // 60 * 1000),
        "tags": pa.array([list(tags) for _ in starts], pa.list_(pa.string())),
    }
    if late:
        columns["adjustment"] = to_decimal_array(-np.minimum(fees, _ADJUSTMENT_HAO))
    return pa.table(columns, schema=LATE_CALLS if late else CALLS)


def _caller(rng: random.Random) -> str | None:
    if rng.random() < 0.03:
        return None
    return (
        f"1{rng.randrange(30, 99)}{rng.randrange(10**8):08d}"
        if rng.random() < 0.8
        else f"0531{rng.randrange(10**8):08d}"
    )


def days_of(calls: pa.Table) -> tuple[Day, ...]:
    """The calls by the day of their start."""
    sums: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    fees = from_decimal_array(calls["owner_fee"]).tolist()
    for start, answered, billed_s, fee in zip(
        *(calls[name].to_pylist() for name in ("start_at", "answered", "billed_s")), fees, strict=True
    ):
        for at, value in enumerate((1, int(answered), billed_s, fee)):
            sums[day_of(start)][at] += value
    return tuple(Day(day, *sums[day]) for day in sorted(sums))


def a_number(
    service_number: str = "4001170392", calls: int = 20, seed: int = 1, *, month: str = MONTH, late: int = 0
) -> NumberCharges:
    """A number in use with a minimum of 50.00, its calls, and `late` calls of the month before."""
    details = some_calls(calls, seed, month=month)
    days = days_of(details)
    call_hao = sum(day.charges_hao for day in days)
    top_up_hao = max(0, _MINIMUM_HAO - call_hao)
    steps = (
        Step(
            "基准 100.00 × 0.15 ÷ 0.30 = 50.00", "base 100.00 × 0.15 ÷ 0.30 = 50.00", "R-MIN-3", _MINIMUM_HAO
        ),
        Step("补足 = 最低消费 − 通话费", "top-up = minimum − calls", "R-MIN-1", top_up_hao),
    )
    late_calls = some_calls(late, seed + 1000, month=next_month(month, -1), late=True) if late else None
    return NumberCharges(
        service_number=service_number,
        number_class="ordinary",
        state="active",
        plan_id="Y600",
        rates=((first_day(month), 1500),),
        calls=calls,
        answered=sum(day.answered for day in days),
        duration_s=sum(details["duration_s"].to_pylist()),
        billed_s=sum(day.billed_s for day in days),
        call_hao=call_hao,
        minimum_hao=_MINIMUM_HAO,
        top_up_hao=top_up_hao,
        rerating_hao=0,
        steps=steps,
        days=days,
        call_details=details,
        late_calls=late_calls,
    )


def a_head(
    letter: str, party_id: str, name: str, month: str = MONTH, issuer: str = "分摊通信有限公司"
) -> Head:
    return Head(
        number=f"{month.replace('-', '')}-{letter}-{party_id}",
        party=Party(party_id, name),
        month=month,
        issuer=issuer,
        issued_at=end_of_month(month),
        calls_seq=1_234_567,
        events_seq=89_012,
        chain_head="9f2c4e7a1b3d5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd",
    )


def a_customer(
    numbers: Iterable[NumberCharges] = (),
    *,
    party_id: str = "C1001",
    name: str = "济南泉城便民服务有限公司",
    month: str = MONTH,
    opening_hao: int = 5_470_000,
    paid_hao: int = 3_000_000,
    issuer: str = "分摊通信有限公司",
) -> Statement:
    """A customer with credit who paid once; the usage is settled from the credit, the rest from cash."""
    numbers = tuple(numbers)
    charged = {
        "call": sum(number.call_hao for number in numbers),
        "late_call": sum(number.late_hao for number in numbers),
        "minimum_top_up": sum(number.top_up_hao for number in numbers),
        "late_call_adjustment": sum(number.adjustment_hao for number in numbers),
    }
    used_hao = sum(charged.values())
    drawn_hao = min(used_hao, opening_hao)
    lines = [Line("payment", 1, (0, paid_hao, 0))] if paid_hao else []
    lines += [Line(kind, len(numbers), (0, 0, -hao)) for kind, hao in charged.items() if hao]
    lines += [Line("settlement", 1, (-drawn_hao, drawn_hao - used_hao, used_hao))] if used_hao else []
    opening = (opening_hao, 0, 0)
    at, ends = first_day(month), first_day(next_month(month, 8)) - timedelta(days=1)
    credit = (
        Credit("K1", "4001170392", "Y600", at, ends, opening_hao, 0, drawn_hao, 0, opening_hao - drawn_hao),
    )
    entry = Entry("8801-1", datetime(2026, 11, 8, 2, 13, tzinfo=UTC), "payment", paid_hao, None, "回单 7731")
    return Statement(
        head=a_head("C", party_id, name, month, issuer),
        account=_account("customer", opening, lines),
        vat=tuple(Vat(kind, 900, hao) for kind, hao in charged.items() if hao),
        entries=(entry,) if paid_hao else (),
        days=_merged(number.days for number in numbers),
        part=CustomerPart(Party("P07", "山东齐鲁代理有限公司"), numbers, credit if numbers else ()),
    )


def a_provider(*, party_id: str = "P07", name: str = "山东齐鲁代理有限公司", customers: int = 4) -> Statement:
    """A provider with a subordinate one, features on two days, and a fine."""
    rng = random.Random(7)
    groups = tuple(
        ProviderGroup(
            Party(provider_id, who),
            depth,
            tuple(_charges(rng, f"C{depth}{at:03d}", f"客户{depth}-{at}有限公司") for at in range(customers)),
        )
        for depth, (provider_id, who) in enumerate([(party_id, name), ("P08", "济南下属代理商")])
    )
    fees = tuple(
        FeatureFee(f"{9000 + at}-1", date(2026, 11, 3 + at // 2), f"400117{at:04d}", feature, hao)
        for at, (feature, hao) in enumerate([("recording", 1_000_000), ("ivr", 500_000), ("queue", 500_000)])
    )
    fine = Fine("F1", date(2026, 11, 10), date(2026, 11, 17), "二次销售未按期整改", 10_000_000, "4001170001")
    fee_hao = sum(fee.amount_hao for fee in fees)
    lines = [
        Line("payment", 1, (50_000_000, 0)),
        Line("feature_fee", len(fees), (-fee_hao, 0)),
        Line("fine", 1, (0, -fine.amount_hao)),
    ]
    call_hao = sum(one.call_hao for group in groups for one in group.customers)
    return Statement(
        head=a_head("P", party_id, name),
        account=_account("provider", (20_000_000, 0), lines),
        vat=(Vat("feature_fee", 600, fee_hao),),
        entries=(Entry("8800-1", datetime(2026, 11, 2, 3, tzinfo=UTC), "payment", 50_000_000),),
        days=(Day(date(2026, 11, 2), 10, 9, 3600, call_hao),),
        part=ProviderPart(fees, (fine,), groups),
    )


def _charges(rng: random.Random, customer_id: str, name: str) -> CustomerCharges:
    calls = rng.randrange(20, 400)
    return CustomerCharges(
        Party(customer_id, name),
        rng.randrange(1, 4),
        calls,
        calls * 120,
        calls * 3000,
        rng.choice([0, 200_000]),
        0,
    )


def _account(kind: str, opening: tuple[int, ...], lines: Sequence[Line]) -> Account:
    closing = tuple(before + sum(line.amounts[at] for line in lines) for at, before in enumerate(opening))
    return Account(POTS[kind], opening, tuple(lines), closing)


def _merged(by_number: Iterable[Sequence[Day]]) -> tuple[Day, ...]:
    sums: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for days in by_number:
        for day in days:
            for at, value in enumerate((day.calls, day.answered, day.billed_s, day.charges_hao)):
                sums[day.day][at] += value
    return tuple(Day(day, *sums[day]) for day in sorted(sums))
