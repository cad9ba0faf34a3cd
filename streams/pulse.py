"""How quickly calls come in, what they earn and why they are rejected: counted by the second of their arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rating.money import from_decimal_array, yuan_text

COLUMNS = ["outcome", "reason", "owner_fee", "received_at"]
SPANS_S = (10, 60)
"""What rates are given over: the last so many whole seconds."""
OUTCOMES = ("rated", "duplicate", "rejected")


@dataclass
class Pulse:
    """What arrived in the last minute, and since this began."""

    _by_second: dict[int, Counter[str]] = field(default_factory=dict)
    rejects: Counter[str] = field(default_factory=Counter)
    """reason -> rejected records among all rows that were taken"""
    last_arrival: datetime | None = None

    def take(self, rows: pa.Table) -> None:
        """Counts rows of `calls`; needs COLUMNS."""
        if not rows.num_rows:
            return
        seconds = pc.cast(rows.column("received_at"), pa.int64())
        hao = pa.array(from_decimal_array(rows.column("owner_fee")))
        groups = (
            pa.table({"second": pc.divide(seconds, 1_000_000), "outcome": rows.column("outcome"),
                      "reason": rows.column("reason"), "hao": hao})
            .group_by(["second", "outcome", "reason"])
            .aggregate([([], "count_all"), ("hao", "sum")])
        )  # fmt: skip
        for group in groups.to_pylist():
            counts = self._by_second.setdefault(group["second"], Counter())
            counts[group["outcome"]] += group["count_all"]
            counts["hao"] += group["hao_sum"] or 0
            if group["outcome"] == "rejected":
                self.rejects[group["reason"]] += group["count_all"]
                counts[f"reason {group['reason']}"] += group["count_all"]
        latest: datetime = pc.max(rows.column("received_at")).as_py()
        self.last_arrival = max(latest, self.last_arrival or latest)

    def forget_before(self, now: datetime) -> None:
        """Drops what no span needs any more."""
        oldest = int(now.timestamp()) - max(SPANS_S)
        for second in [second for second in self._by_second if second < oldest]:
            del self._by_second[second]

    def rates(self, now: datetime) -> dict[int, dict[str, Any]]:
        """Span in seconds -> calls and each outcome a second with one decimal, yuan a second, rejects by reason."""
        return {span_s: self._rates(list(self._within(now, span_s)), span_s) for span_s in SPANS_S}

    def _within(self, now: datetime, span_s: int) -> Iterator[Counter[str]]:
        end = int(now.timestamp())
        return (counts for second, counts in self._by_second.items() if end - span_s <= second < end)

    def _rates(self, counted: list[Counter[str]], span_s: int) -> dict[str, Any]:
        total = sum(counted, Counter[str]())
        per_s = {outcome: _tenths(total[outcome], span_s) for outcome in OUTCOMES}
        return {
            "calls": _tenths(sum(total[outcome] for outcome in OUTCOMES), span_s),
            **per_s,
            "yuan": yuan_text(sum(counts["hao"] for counts in counted) // span_s),
            "reasons": {
                name.removeprefix("reason "): count
                for name, count in total.most_common()
                if name.startswith("reason ")
            },
        }


def _tenths(count: int, span_s: int) -> str:
    tenths = (10 * count + span_s // 2) // span_s
    return f"{tenths // 10:,}.{tenths % 10}"
