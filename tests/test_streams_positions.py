"""Where a partition is read on, and when going on would skip records (F-17)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.home import Home
from ledger.schema import CALLS
from streams.cluster import Topic
from streams.positions import Gap, app_id, next_offset, starts
from tests.ledgers import a_home

CDRS = Topic("cdrs", "id-1", 2)
ANEW = Topic("cdrs", "id-2", 2)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A ledger that has read partition 0 of `cdrs` up to offset 120."""
    home = a_home(tmp_path)
    home.calls.append(CALLS.empty_table(), offsets={app_id(CDRS, 0): 120})
    return home


def test_a_partition_is_read_on_where_the_ledger_is(home: Home) -> None:
    assert starts(home.calls, CDRS, {0: (0, 500), 1: (0, 7)}, ()) == {0: 120, 1: 0}
    assert (next_offset(home.calls, CDRS, 0), next_offset(home.calls, CDRS, 1)) == (120, 0)


def test_records_that_retention_removed_unread_are_a_gap_that_names_them(home: Home) -> None:
    """F-17: the worker stops, says which offsets are missing, and how to go on."""
    with pytest.raises(Gap) as gap:
        starts(home.calls, CDRS, {0: (1700, 2000), 1: (3, 7)}, ())
    said = str(gap.value)
    assert (
        "cdrs/0 begins at offset 1700, but the ledger has read it up to 120: the offsets 120 to 1699" in said
    )
    assert said.endswith("fentan worker --accept-gap cdrs/0:120 --accept-gap cdrs/1:0")
    accepted = ("cdrs/0:120", "cdrs/1:0")
    assert starts(home.calls, CDRS, {0: (1700, 2000), 1: (3, 7)}, accepted) == {0: 1700, 1: 3}
    with pytest.raises(
        Gap, match="cdrs/0:120"
    ):  # what was accepted for another gap does not hold for this one
        starts(home.calls, CDRS, {0: (1700, 2000)}, ("cdrs/0:119",))


def test_a_broker_that_lost_what_it_had_acknowledged_is_a_gap(home: Home) -> None:
    """F-17: offsets would be used twice."""
    with pytest.raises(Gap, match="ends at offset 100, but the ledger has read it up to 120"):
        starts(home.calls, CDRS, {0: (0, 100)}, ())
    assert starts(home.calls, CDRS, {0: (0, 100)}, ("cdrs/0:120",)) == {0: 100}


def test_a_topic_made_anew_under_the_same_name_is_a_gap(home: Home) -> None:
    """F-17: its offsets are not the old one's; a partition that was added to the old one is none."""
    with pytest.raises(
        Gap, match="was made anew, its id is id-2 now; the ledger has read partition 0 of id-1 up to"
    ) as gap:
        starts(home.calls, ANEW, {0: (0, 5), 1: (0, 5)}, ())
    assert str(gap.value).endswith("--accept-gap cdrs:id-2")
    assert starts(home.calls, ANEW, {0: (0, 5), 1: (0, 5)}, ("cdrs:id-2",)) == {0: 0, 1: 0}
    home.calls.append(CALLS.empty_table(), offsets={app_id(ANEW, 1): 3})
    assert starts(home.calls, ANEW, {0: (0, 5), 1: (0, 5)}, ()) == {0: 0, 1: 3}
