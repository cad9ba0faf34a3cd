"""What came of commands and of call records, told in sentences; the command line prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from ledger.maintain import Report
from ledger.retry import UNCHANGED
from ledger.submit import Answer
from rating.reasons import Reason
from reports.explain_words import counted

_ANSWER = pa.schema(
    [
        pa.field("seq", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("command_id", "kind", "outcome", "reason", "detail")),
    ]
)
SHOWN = 20
_OF_COMMANDS = ("accepted", "duplicate", "refused", "rejected")
_OF_CALLS = ("rated", "duplicate", "rejected")


def answers_table(answers: Sequence[Answer]) -> pa.Table:
    """A row an answer, in the order of the lines."""
    rows = [{name: getattr(one, name) for name in _ANSWER.names} for one in answers]
    return pa.Table.from_pylist(rows, schema=_ANSWER)


def said_of_answers(answers: Sequence[Answer]) -> list[str]:
    """A line for each command that a rule or the reader turned down, at most SHOWN, with what to do; then the counts.

    One that was accepted with a warning has a line too.
    """
    lines = [
        f"{one.command_id} accepted, with a warning: {one.detail}"
        for one in answers
        if one.outcome == "accepted" and one.detail
    ] + [
        f"{one.command_id or '(no id)'} {one.outcome}: {one.reason}: {one.detail} "
        f"What to do: {Reason(one.reason or '').what_to_do}."
        for one in answers
        if one.outcome in {"refused", "rejected"}
    ]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"… and {len(lines) - SHOWN:,} more: see the view events, or --format csv or json."]
    counts = Counter(one.outcome for one in answers)
    told = [f"{counts[outcome]:,} {outcome}" for outcome in _OF_COMMANDS if counts[outcome]]
    return [*lines, *([f"{counted(len(answers), 'command')}: {', '.join(told)}."] if told else [])]


def said_of_calls(files: int, known_files: int, counts: Mapping[str, int]) -> list[str]:
    """What became of the records of some files, the reasons of those that were not rated, what was there already.

    `counts` are rows by outcome and by reason; `known_files` had nothing that the ledger did not hold.
    """
    some = "" if known_files == files else f"{known_files:,} of "
    lines = [f"Nothing new in {some}{counted(files, 'file')}."] if known_files else []
    records = sum(counts.get(outcome, 0) for outcome in _OF_CALLS)
    if records:
        told = ", ".join(f"{counts.get(outcome, 0):,} {outcome}" for outcome in _OF_CALLS)
        lines.append(f"{counted(records, 'call record')}: {told}.")
    elif not known_files:
        lines.append("There was no call record.")
    return [*lines, *_by_reason(counts)]


def said_of_retry(counts: Mapping[str, int]) -> list[str]:
    """What became of rejects that were tried again: `counts` as above, and how many are `unchanged`."""
    changed = sum(counts.get(outcome, 0) for outcome in _OF_CALLS)
    tried = changed + counts.get(UNCHANGED, 0)
    if not tried:
        return ["There is nothing to try again."]
    told = ", ".join(f"{counts.get(outcome, 0):,} {outcome}" for outcome in (*_OF_CALLS, UNCHANGED))
    return [f"{counted(tried, 'reject')} tried again: {told}.", *_by_reason(counts)]


def _by_reason(counts: Mapping[str, int]) -> list[str]:
    return [
        f"{counts[reason]:>8,} {reason}: {reason.meaning}; {reason.what_to_do}"
        for reason in Reason
        if counts.get(reason) and reason is not Reason.DUPLICATE
    ]


def said_of_maintenance(table: str, report: Report) -> str:
    """What one maintenance run did to a table."""
    done = [
        f"{counted(report.merged_files, 'file')} with {counted(report.merged_rows, 'row')} rewritten",
        f"{counted(report.removed_files, 'file')} removed ({report.removed_bytes:,} bytes)",
        f"{counted(report.removed_entries, 'log file')} removed",
    ]
    return f"{table}: {', '.join(done)}; checkpoint at version {report.checkpoint}."
