"""How a minimum came about, step by step, in both languages, each with its rule (R-MIN-1 … 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rating.money import parse_yuan
from reports.statement import Step


def steps_of(working: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of one number's working in `close_customer`: formula, ratchet, days held, top-up."""
    rate = working["rates"][-1][1]
    sum_text = f"{working['base']} × {rate} ÷ {working['base_rate']} = {working['formula']}"
    yield Step(
        f"基准月最低消费 × 费率 ÷ 基准费率：{sum_text}",
        f"Base minimum × rate ÷ base rate: {sum_text}",
        "R-MIN-3",
        parse_yuan(working["formula"]),
    )
    if working["opening"]:
        yield Step(
            "开通当月按实际使用计费，不收最低消费", "Month of activation: charged by use only", "R-MIN-6", 0
        )
        return
    if working["held"] != working["formula"]:
        yield Step(
            "最低消费只升不降，沿用已达到的数额",
            "A minimum is never lowered: the one reached before stays",
            "R-MIN-5",
            parse_yuan(working["held"]),
        )
    if working["days_held"] != working["days"]:
        share = f"{working['held']} × {working['days_held']} ÷ {working['days']} = {working['minimum']}"
        yield Step(
            f"按占用天数折算：{share}",
            f"For the days held: {share}",
            "R-MIN-8",
            parse_yuan(working["minimum"]),
        )
    top_up = f"max(0, {working['minimum']} − {working['calls']}) = {working['top_up']}"
    yield Step(
        f"补足 = 最低消费 − 当月通话费：{top_up}",
        f"Top-up = minimum − calls of the month: {top_up}",
        "R-MIN-1",
        parse_yuan(working["top_up"]),
    )
