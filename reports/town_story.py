"""The demo's closing words: what happened in the town, and three questions with their answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Console

from ledger.tables import write_table
from reports.ask import ask_own

QUESTIONS = (
    (
        "What did each month bring in?",
        """\
SELECT billed_month AS month, kind, count(*) AS movements, sum(amount) AS yuan
FROM movements WHERE credit LIKE 'platform/revenue/%'
GROUP BY ALL ORDER BY ALL""",
    ),
    (
        "Who owes what, since when, and what was done about it?",
        "SELECT account, balance, since, days, stage FROM arrears ORDER BY balance",
    ),
    (
        "What did one number go through, from stock and back?",
        """\
SELECT "at", kind, outcome, reason
FROM events WHERE payload ->> '$.service_number' = (
    SELECT payload ->> '$.service_number' FROM events WHERE kind = 'confirm_disuse' AND outcome = 'accepted' LIMIT 1)
ORDER BY seq""",
    ),
    (
        "What was disputed, fined and priced anew?",
        """\
SELECT 'dispute about ' || feature AS what, provider_id, outcome, amount FROM disputes
UNION ALL SELECT 'fine: ' || reason, provider_id, state, amount FROM fines
UNION ALL SELECT 'calls at a rate that was recorded late', provider_id, count(*) || ' calls', sum(amount)
FROM postings WHERE kind = 'rerating' GROUP BY provider_id""",
    ),
    (
        "Which records were not charged, and why?",
        """\
SELECT reason, count(*) AS records, any_value(detail) AS example
FROM (SELECT reason, detail FROM rejects UNION ALL SELECT reason, detail FROM duplicates)
GROUP BY reason ORDER BY records DESC, reason""",
    ),
)


def tell(home: Path, now: datetime, console: Console) -> None:
    """Asks QUESTIONS of the ledger and prints each with its answer."""
    for question, text in QUESTIONS:
        console.print(f"\n[bold]{question}[/bold]")
        console.print("\n".join(f"  {line}" for line in text.splitlines()), style="cyan", markup=False)
        write_table(ask_own(home, text, now), "table", console)


def tell_counts(commands: Mapping[str, int], calls: Mapping[str, int], console: Console) -> None:
    """What became of the commands and the call records."""
    for title, counts, order in (
        ("commands", commands, ("accepted", "duplicate", "refused", "rejected")),
        ("call records", calls, ("rated", "duplicate", "rejected")),
    ):
        told = ", ".join(f"{counts.get(outcome, 0):,} {outcome}" for outcome in order)
        console.print(f"{sum(counts.get(outcome, 0) for outcome in order):,} {title}: {told}")
