"""What rows of a scenario say must be true, compared with the ledger that tests/scenario.py played them on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.home import Home
from rating import price_book
from rating.calendar import SHANGHAI
from rating.minimums import charged_minimum, held_minimum
from rating.money import from_decimal_array, yuan_text
from rating.posting_columns import postings_of
from rating.state import CLEAR, Journalled, State
from tests.scenario import Row, Scenario, World, priced

UNSAID = {"payment", "plan_fee", "settlement"}
"""Posting kinds that a row may leave out; whatever else it does not mention must not be there."""
KINDS = UNSAID | {
    "minimum_top_up",
    "late_call_adjustment",
    "rerating",
    "credit_expiry",
    "feature_fee",
    "fine",
    "fine_payment",
    "refund",
    "reversal",
    "write_off",
}
OUTCOMES = {"refused", "rejected", "duplicate"}
_APART = re.compile(r'; (?=(?:[^"]*"[^"]*")*[^"]*$)')
"""Between two parts of a cell, not inside quotation marks."""


def play(scenario: Scenario, folder: Path) -> None:
    """Plays a scenario in an empty folder. AssertionError with the line and what is different."""
    book, clauses = price_book.default_text(), []
    for clause in scenario.given:
        if clause.startswith("the price book says "):
            book = priced(book, clause.removeprefix("the price book says "))
        else:
            clauses.append(clause)
    world = World(folder, book)
    world.begin(clauses)
    for row in scenario.rows:
        world.play(row)
        found = list(differences(world, row))
        where = f"tests/scenarios/{scenario.file}.txt:{row.line}: after {row.what} on {row.when}"
        assert not found, f"{where}:\n  " + "\n  ".join(found)
    _check_ledger(world, folder)


def _check_ledger(world: World, folder: Path) -> None:
    """What holds whatever was played."""
    if world.home.calls.next_seq or world.home.state.closed_month:  # else a fold has nothing to leave out
        anew = folded(Home.open(folder).state)
        assert anew == folded(world.home.state), "folded anew it is another state (R-INV-5)"
    sources = world.home.events.read_since(0, ["source"]).column("source")
    assert len(sources) - sources.null_count == world.lines, "each line is one row of events (R-INV-1)"
    retries = world.home.calls.read_since(0, ["retries"]).column("retries")
    assert retries.null_count == world.records, "each record is one row of calls (R-INV-1)"


def folded(state: State) -> dict[str, Any]:
    """All that a state knows, comparable: accounts and months at zero are left out."""
    kept = {name: dict(table) for name, table in vars(state).items() if isinstance(table, Journalled)}
    for name in ("balances", "leaves"):
        kept[name] = {key: hao for key, hao in kept[name].items() if hao}
    months = {key: {month: hao for month, hao in of.items() if hao} for key, of in kept["usage"].items()}
    kept["usage"] = {key: of for key, of in months.items() if of}
    kept["credits"] = {key: of for key, of in kept["credits"].items() if of}
    return kept


def differences(world: World, row: Row) -> Iterator[str]:
    """Each thing that the row says and that is not so, and each that is so and that it should have said."""
    says = [item for item in _APART.split(row.then) if item]
    if not any(item.split()[0] in OUTCOMES for item in says) and world.outcome[0] not in {
        "accepted",
        "rated",
    }:
        yield f"it was {' '.join(str(part) for part in world.outcome)}"
    yield from _alerts(world, [item for item in says if item.startswith("alert ")])
    yield from _postings(world, [item for item in says if item.split()[0] in KINDS])
    for item in says:
        name, *words = item.split()
        if name in KINDS or name == "alert":
            continue
        really = f"{name} {_really(world, name, words, item)}"
        if really != item:
            yield f"{item!r}: really it is {really!r}"
    if (sum_hao := _sum(world)) != 0:
        yield f"all accounts sum to {yuan_text(sum_hao)}, not to zero (R-INV-2)"


def _alerts(world: World, says: list[str]) -> Iterator[str]:
    """Alerts in their order; `dated` only where the row wants it."""
    sent = [event for event in world.events if event.kind == "alert"]
    told = [f"alert {event.effect['kind']} {event.effect['account'].split('/')[1]}" for event in sent]
    dated = [f"{alert} dated {_shown(event.at)}" for alert, event in zip(told, sent, strict=True)]
    if len(says) != len(sent) or any(item not in pair for item, *pair in zip(says, told, dated, strict=True)):
        yield f"the row says {says or 'no alert'}, really there is {dated or 'none'}"


def _postings(world: World, says: list[str]) -> Iterator[str]:
    said = Counter(says)
    found = Counter(
        f"{p.kind} {yuan_text(p.amount_hao)}" for event in world.events for p in postings_of(event)
    )
    mentioned = {item.split()[0] for item in said}
    for item in sorted(said.keys() | found.keys()):
        if said[item] != found[item] and (item.split()[0] in mentioned or item.split()[0] not in UNSAID):
            yield f"{item}: said {said[item]} times, posted {found[item]} times"


def _really(world: World, name: str, words: list[str], item: str) -> str:
    """What the row should say after the word `name`."""
    if name in OUTCOMES:
        return _outcome(world, name, item)
    if name in world.home.state.numbers:
        return world.home.state.numbers[name].state
    if name not in _READERS:
        raise AssertionError(f"{item!r} is not understood")
    return _READERS[name](world, words)


def _outcome(world: World, name: str, item: str) -> str:
    outcome, reason, detail = world.outcome
    if outcome != name:
        return f"nothing: it was {outcome}"
    quoted = re.search(r'"(.*)"', item)
    if quoted is None:
        return str(reason)
    return f'{reason} "{quoted[1] if quoted[1] in (detail or "") else detail}"'


def _account(name: str) -> Callable[[World, list[str]], str]:
    """`cash C1 …`: the leaves of an owner that begin so; `balance` is all of them."""

    def read(world: World, words: list[str]) -> str:
        state, owner = world.home.state, words[0]
        account = f"{'customer' if owner in state.customers else 'provider'}/{owner}"
        hao = sum(amount for leaf, amount in state.leaves.items() if leaf.startswith(f"{account}/{name}"))
        if name == "usage":
            hao = sum(state.usage.get(owner, {}).values())
        return f"{owner} {yuan_text(state.balance(account) if name == 'balance' else hao)}"

    return read


def _minimum(world: World, words: list[str]) -> str:
    """`minimum 50.00 in 2026-09` is what is held, `minimum 25.00 charged 2026-09` what a close charges."""
    numbers = world.home.state.numbers
    contract = numbers[words[4] if len(words) > 4 else next(iter(numbers))].contracts[-1]
    hao = (
        held_minimum(contract, words[2])
        if words[1] == "in"
        else charged_minimum(contract, words[2]).minimum_hao
    )
    return " ".join([yuan_text(hao), *words[1:]])


def _owes(world: World, words: list[str]) -> str:
    """`owes C1 since 2026-08-10 10:20`, `owes C1 nothing`."""
    since = world.home.state.standings.get(f"customer/{words[0]}", CLEAR).since
    return f"{words[0]} since {_shown(since)}" if since else f"{words[0]} nothing"


def _reverses(world: World, _: list[str]) -> str:
    """What the postings of this row correct: their kind, or the call."""
    named = [p.reverses for event in world.events for p in postings_of(event) if p.reverses]
    return " ".join(world.posted[one].kind if one in world.posted else one for one in named)


def _of_call(column: str) -> Callable[[World, list[str]], str]:
    def read(world: World, _: list[str]) -> str:
        value = world.calls.column(column).to_pylist()[-1]
        return str(value)

    return read


def _tags(world: World, _: list[str]) -> str:
    return " ".join(world.calls.column("tags").to_pylist()[-1] or ["nothing"])


def _fee(world: World, _: list[str]) -> str:
    """What the row's calls cost together."""
    return yuan_text(sum(from_decimal_array(world.calls.column("owner_fee")).tolist()))


def _estimate(world: World, _: list[str]) -> str:
    """What the caller's own carrier charges for the row's last call, never posted."""
    paid = world.calls.column("caller_estimate").to_pylist()[-1]
    return "unknown" if paid is None else yuan_text(int(paid.scaleb(4)))


def _closed(world: World, provider_id: str) -> bool:
    return bool(world.home.state.providers[provider_id].closed_for)


def _first_number(world: World) -> Any:
    return next(iter(world.home.state.numbers.values()))


def _leaf(world: World, words: list[str]) -> str:
    return f"{words[0]} {yuan_text(world.home.state.leaves.get(words[0], 0))}"


_READERS: dict[str, Callable[[World, list[str]], str]] = {
    **{name: _account(name) for name in ("balance", "cash", "credit", "deposit", "fines", "usage")},
    "open": lambda world, words: f"{words[0]}{' is closed' if _closed(world, words[0]) else ''}",
    "closed": lambda world, words: f"{words[0]}{'' if _closed(world, words[0]) else ' is open'}",
    "restricted": lambda world, _: next(
        (name for name, number in world.home.state.numbers.items() if number.restricted), "nothing"
    ),
    "through": lambda world, _: " ".join(
        sorted({str(p.provider_id) for event in world.events for p in postings_of(event)})
    ),
    "with": lambda world, _: _first_number(world).contracts[-1].provider_id,
    "due": lambda world, words: f"{words[0]} {_shown(world.home.state.fines[words[0]].due_at)}",
    "state": lambda world, _: _first_number(world).state,
    "closes": lambda world, _: f"{sum(event.kind == 'close_month' for event in world.events)} months",
    "class": lambda world, _: list(world.home.state.numbers.values())[-1].number_class,
    "leaf": _leaf,
    "minimum": _minimum,
    "owes": _owes,
    "reverses": _reverses,
    "fee": _fee,
    "caller": _estimate,
    "tagged": _tags,
    "payer": _of_call("customer_id"),
    "called": _of_call("service_number"),
    "month": _of_call("month"),
    "from": _of_call("caller_number"),
    "area": _of_call("caller_area"),
    "lasted": _of_call("duration_s"),
    "started": lambda world, _: _shown(world.calls.column("start_at").to_pylist()[-1]),
}


def _sum(world: World) -> int:
    """All accounts together; what calls earned is only in their rows."""
    state = world.home.state
    return sum(state.leaves.values()) + sum(sum(of.values()) for of in state.usage.values()) + world.fees_hao


def _shown(at: datetime) -> str:
    """As rows write instants: seconds only where there are any."""
    local = at.astimezone(SHANGHAI).replace(tzinfo=None)
    return local.isoformat(" ", "seconds" if local.second else "minutes")
