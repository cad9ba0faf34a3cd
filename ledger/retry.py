"""Rejected calls once more, after their cause was mended (`fentan retry`): R-INV-1, F-05, F-06.

A retry appends a row that names the one it tries again; what comes out as before is left alone, so a retry that
cannot help adds nothing. Each try is one compare-and-set from the look at the rejects to the commit: of two
retries at once one finds the other's rows.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan
from ledger.charge import commit_rated, rated_rows
from ledger.home import Home
from ledger.log import LostRace
from rating.accounts import Refused
from rating.reasons import Reason
from rating.records import RECORD

BATCH_ROWS = 50_000
UNCHANGED = "unchanged"
_KEPT = [field.name for field in RECORD if field.name not in {"fault", "fault_detail"}]


def retry(home: Home, reason: Reason | None, received_at: datetime) -> Counter[str]:
    """Tries the rejects with this reason again, or all that a retry can help; `received_at` is when.

    Returns how many rows were added, by outcome and reason, and how many rejects are `unchanged`. Raises Refused
    for a reason that no retry helps.
    """
    if reason is not None and not reason.retry:
        raise Refused(
            reason, f"A retry cannot help with {reason}: {reason.meaning}. What helps: {reason.what_to_do}."
        )
    reasons = [reason] if reason is not None else [one for one in Reason if one.retry]
    counts: Counter[str] = Counter()
    home.see()
    since, until = 0, home.calls.next_seq
    while since < until:
        try:
            since = _retry_batch(home, reasons, since, until, received_at, counts)
        except LostRace:
            continue
    return counts


def _retry_batch(
    home: Home, reasons: list[Reason], since: int, until: int, received_at: datetime, counts: Counter[str]
) -> int:
    """Tries the first rejects from `since` on; returns where the next ones begin."""
    home.see()
    rejects = _rejects(home, reasons, since, until)
    if not rejects.num_rows:
        return until
    changed = rejects.filter(_changes(rejects, _rated(home, rejects, received_at)))
    if changed.num_rows:
        # rated once more on its own, for a duplicate names the other by its place among what is committed
        counts.update(commit_rated(home, _rated(home, changed, received_at), {}))
    counts[UNCHANGED] += rejects.num_rows - changed.num_rows
    return int(rejects.column("seq")[-1].as_py()) + 1


def _rejects(home: Home, reasons: list[Reason], since: int, until: int) -> pa.Table:
    """The first rejects with since <= seq < until that nothing has tried again, in seq order."""
    if not home.calls.files():
        return pa.table({"seq": pa.array([], pa.int64())})
    calls = home.calls.scan_sql()
    return scan.ask(
        f"SELECT seq, reason, source, {', '.join(_KEPT)} FROM {calls} WHERE outcome = 'rejected' "
        "AND list_contains($reasons, reason) AND seq >= $since AND seq < $until "
        f"AND seq NOT IN (SELECT retries FROM {calls} WHERE retries IS NOT NULL) ORDER BY seq LIMIT $rows",
        reasons=[one.value for one in reasons], since=since, until=until, rows=BATCH_ROWS,
    )  # fmt: skip


def _rated(home: Home, rejects: pa.Table, received_at: datetime) -> pa.Table:
    """What the rejects become now, as rows of `calls`."""
    nothing = pa.nulls(rejects.num_rows, pa.string())
    records = pa.table(
        [rejects.column(f.name).cast(f.type) if f.name in _KEPT else nothing for f in RECORD], schema=RECORD
    )
    return rated_rows(
        home, home.prices, records, rejects.column("source"), received_at, rejects.column("seq")
    )


def _changes(rejects: pa.Table, rows: pa.Table) -> pa.Array:
    """Which rejects come out as something else: rated, a duplicate, or rejected for another reason."""
    before = rejects.column("reason").combine_chunks()
    after = rows.column("reason").cast(pa.string()).combine_chunks()
    same = pc.fill_null(pc.equal(before, after), fill_value=False).to_numpy(zero_copy_only=False)
    return pa.array(np.logical_not(same))
