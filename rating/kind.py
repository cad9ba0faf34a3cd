"""A kind of command: its fields, who decides it, what it changes. Adding one is adding one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rating.accounts import Command, Event
from rating.commands import Field
from rating.state import State


@dataclass(frozen=True, slots=True)
class Kind:
    """`decide` returns the event or raises Refused and changes nothing; `mutate` folds the event in."""

    fields: Mapping[str, Field]
    decide: Callable[[State, Command], Event]
    mutate: Callable[[State, Event], None]


def changes_nothing(_state: State, _event: Event) -> None:
    """What to fold in of an event whose row, or whose postings, say it all."""
