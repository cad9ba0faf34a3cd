"""What the command line says of commands, call records, retries and maintenance."""

from __future__ import annotations

from ledger.maintain import Report
from ledger.submit import Answer
from reports.said import answers_table, said_of_answers, said_of_calls, said_of_maintenance, said_of_retry

REFUSED = Answer(
    7, "c-7", "set_minimum", "refused", "MINIMUM_LOWERED", "The minimum is 50.00 and can only be raised."
)


def accepted(seq: int) -> Answer:
    return Answer(seq, f"c-{seq}", "tick", "accepted", None, None)


def test_a_refusal_says_what_to_do_and_the_counts_come_last() -> None:
    refusal, counts = said_of_answers([accepted(0), REFUSED, accepted(1)])
    assert refusal == (
        "c-7 refused: MINIMUM_LOWERED: The minimum is 50.00 and can only be raised. "
        "What to do: ask for at least the present minimum."
    )
    assert counts == "3 commands: 2 accepted, 1 refused."
    assert said_of_answers([accepted(0)]) == ["1 command: 1 accepted."]
    assert said_of_answers([]) == []


def test_a_thousand_refusals_do_not_fill_the_terminal() -> None:
    lines = said_of_answers([REFUSED] * 1000)
    assert len(lines) == 22
    assert lines[-2].startswith("… and 980 more")


def test_an_answer_is_a_row_also_where_there_is_none() -> None:
    columns = ["seq", "command_id", "kind", "outcome", "reason", "detail"]
    assert answers_table([]).column_names == columns
    assert answers_table([REFUSED]).to_pylist()[0]["reason"] == "MINIMUM_LOWERED"


def test_records_are_counted_by_outcome_and_rejects_by_reason() -> None:
    """R-INV-1: the counts add up to the records."""
    counts = {"rated": 1200, "duplicate": 2, "rejected": 1, "DUPLICATE": 2, "NO_PLAN": 1}
    first, reason = said_of_calls(1, 0, counts)
    assert first == "1,203 call records: 1,200 rated, 2 duplicate, 1 rejected."
    assert reason.startswith("       1 NO_PLAN: ")


def test_files_that_were_known_are_said() -> None:
    assert said_of_calls(1, 1, {}) == ["Nothing new in 1 file."]
    assert said_of_calls(3, 2, {"rated": 1})[0] == "Nothing new in 2 of 3 files."
    assert said_of_calls(1, 0, {}) == ["There was no call record."]


def test_a_retry_counts_what_stayed_as_it_was() -> None:
    assert said_of_retry({"unchanged": 2, "rated": 1}) == [
        "3 rejects tried again: 1 rated, 0 duplicate, 0 rejected, 2 unchanged."
    ]
    assert said_of_retry({}) == ["There is nothing to try again."]


def test_maintenance_is_told_in_one_sentence() -> None:
    report = Report(merged_files=2, merged_rows=26, checkpoint=3, removed_files=1, removed_bytes=1024)
    assert said_of_maintenance("events", report) == (
        "events: 2 files with 26 rows rewritten, 1 file removed (1,024 bytes), 0 log files removed; "
        "checkpoint at version 3."
    )
