"""Ids of our own decisions about a number: the same thing may fall due again once it was recorded late (R-INV-6).

Most are made of what falls due and when. A clerk may backdate a second case to the day of the first: what follows from
it is another decision, so its id is numbered. Each number keeps the ids that were given.
"""

from __future__ import annotations

from rating.accounts import Event
from rating.state import Number, State


def fresh_id(number: Number, name: str) -> str:
    """`name`, or `name/2`, `name/3` … if it was decided before."""
    times = sum(given == name or given.startswith(f"{name}/") for given in number.decided)
    return f"{name}/{times + 1}" if times else name


def note_decided(state: State, service_number: str, event: Event) -> None:
    """Folds the id of a decision in."""
    number = state.numbers[service_number]
    state.numbers.put(service_number, number._replace(decided=(*number.decided, event.command_id)))
