"""Plays the scenarios of tests/scenarios/*.txt against a real ledger; README.md there says how to write one.

`python -m tests.scenario` aligns the columns of all files. What a row says of the outcome is checked in
tests/scenario_then.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ledger.charge import charge
from ledger.home import Home
from ledger.months import close
from ledger.retry import retry
from ledger.rows import read_events
from ledger.schema import CHANGE_COLUMNS, POSTING_COLUMNS
from ledger.submit import Answer, Line, submit
from rating import business
from rating.accounts import Event, Posting, Refused
from rating.calendar import SHANGHAI, instant_text
from rating.money import from_decimal_array, parse_yuan
from rating.posting_columns import postings_of
from rating.reasons import Reason
from rating.records import RECORD

FOLDER = Path(__file__).parent / "scenarios"
NUMBER = "4001170392"

_SHORT = {
    "class": "number_class", "customer": "customer_id", "days": "deadline_days", "dispute": "dispute_id",
    "fine": "fine_id", "intent": "intent_id", "month": "from_month", "number": "service_number",
    "parent": "parent_id", "plan": "plan_id", "posting": "posting_id", "provider": "provider_id",
    "starts": "starts_on",
}  # fmt: skip
"""What rows call the fields of commands, where that is shorter."""
_UNLESS_NAMED = {
    "authority": "the ministry",
    "documents": "business_licence tax_registration organisation_code",
    "name": "Jinan Spring Tea Co.",
    "prospect": "Jinan Spring Tea Co., bought by Ms Wang",
    "reason": "as the letter says",
    "reference": "bank slip 17",
}
_OF_CALLS = {
    "area": "caller_area", "from": "caller_number", "id": "call_id", "number": "service_number",
    "phone": "answering_phone", "rule": "answer_rule",
}  # fmt: skip
_READ = [
    "seq",
    "command_id",
    "kind",
    "outcome",
    "at",
    "effect",
    "calls_seq",
    *POSTING_COLUMNS,
    *CHANGE_COLUMNS,
]


@dataclass(frozen=True)
class Row:
    """One line of a table: what happens when, and what is then true."""

    line: int
    when: str
    what: str
    given: str
    then: str


@dataclass(frozen=True)
class Scenario:
    """A title that begins with the rules it proves, what is given, and rows."""

    file: str
    title: str
    given: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


# reading


def read_all() -> list[Scenario]:
    """Every scenario of every file."""
    return [scenario for path in sorted(FOLDER.glob("*.txt")) for scenario in read(path)]


def read(path: Path) -> list[Scenario]:
    """The scenarios of one file. ValueError with the line that cannot be read."""
    found: list[Scenario] = []
    when = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if re.match(r"(R-[A-Z]+-\d+|F-\d\d)[^|]*: ", line):
            found.append(Scenario(path.stem, line.strip()))
        elif line.startswith("given ") and found and not found[-1].rows:
            found[-1].given.extend(line.removeprefix("given ").strip().split("; "))
        elif line.startswith("|") and found:
            cells = _cells(line)
            if len(cells) != 4:
                raise ValueError(f"{path.name}:{number}: a row has four cells: when, what, with, then")
            if cells[0] != "when":
                when = cells[0] or when
                found[-1].rows.append(Row(number, when, *cells[1:]))
        else:
            raise ValueError(f"{path.name}:{number}: neither a title, nor given, nor a row: {line!r}")
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def aligned(text: str) -> str:
    """The text with the cells of each table's columns equally wide."""
    lines: list[str] = []
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append(_cells(line))
            continue
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for cells in table:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            lines.append(f"| {' | '.join(padded)} |")
        table = []
        lines.append(line)
    return "\n".join(lines[:-1]) + "\n"


def instant(text: str) -> datetime:
    """`2026-08-03 09:00[:05]` in Shanghai -> aware UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def _seconds(text: str) -> int | None:
    """`1 h 9 min 1 s` -> 4141; None if it is no duration."""
    parts = re.findall(r"(\d+) (h|min|s)\b", text)
    if not parts or re.sub(r"\d+ (h|min|s)\b|\s", "", text):
        return None
    return sum(int(count) * {"h": 3600, "min": 60, "s": 1}[unit] for count, unit in parts)


def _named(text: str) -> dict[str, str]:
    """`plan Y600, rate 0.15` -> {"plan": "Y600", "rate": "0.15"}."""
    return {name: value for name, _, value in (item.partition(" ") for item in text.split(", ") if item)}


# what is given


def priced(book: str, says: str) -> str:
    """The price book with another `key = value`, or another entry `{id = …}` of one of its lists."""
    entry = re.match(r'\{(id|class|base) = "([\w.-]+)"', says)
    if entry is None:
        changed, count = re.subn(
            rf"^{says.split(' =', maxsplit=1)[0]} *=.*$", lambda _: says, book, flags=re.MULTILINE
        )
    elif entry[1] == "base":
        changed, count = re.subn(r"^rate = \[.*\].*$", lambda _: f"rate = [{says}]", book, flags=re.MULTILINE)
    else:
        old = rf'^    \{{{entry[1]} = "{entry[2]}".*$'
        changed, count = re.subn(old, lambda _: f"    {says},", book, flags=re.MULTILINE)
    assert count == 1, f"the price book has {count} entries to replace by {says!r}"
    return changed


def given_commands(clause: str) -> Iterator[dict[str, Any]]:
    """What a clause stands for, as commands without ids."""
    start = "2026-06-30 09:00"
    if match := re.fullmatch(r"provider (\w+)(?: under (\w+))?", clause):
        yield _command("register_provider", start, provider_id=match[1], parent_id=match[2], name=match[1])
    elif match := re.fullmatch(r"customer (\w+) under (\w+)(?:, low balance ([\d.]+))?", clause):
        yield _command("register_customer", start, customer_id=match[1], provider_id=match[2], name=match[1],
                       low_balance=match[3])  # fmt: skip
    elif match := re.fullmatch(r"number (\d+)(?:, class ([\w-]+))?", clause):
        yield _command("add_number", start, service_number=match[1], number_class=match[2])
    elif match := re.fullmatch(r"number (\d+) of (\w+) under (\w+), (plan .*)", clause):
        yield from _contracted(match[1], match[2], match[3], _named(match[4]))
    else:
        raise ValueError(f"given {clause!r} is not understood")


def _contracted(number: str, customer: str, provider: str, terms: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A number's way from free to locked, and on to active if the terms say since when."""
    signed, active = instant(terms.pop("signed")), terms.pop("active", None)
    fields = {_SHORT.get(name, name): value for name, value in terms.items()}
    fields.setdefault("starts_on", signed.astimezone(SHANGHAI).date().isoformat())
    way = [
        ("add_number", -60, {}),
        ("hold_number", -30, {"provider_id": provider}),
        ("sign_contract", 0, {"customer_id": customer, **fields}),
        ("submit_documents", 1, {"documents": _UNLESS_NAMED["documents"].split()}),
        ("approve_real_name", 2, {}),
    ]
    for kind, minute, more in way if active else way[:3]:
        at = (signed + timedelta(minutes=minute)).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        yield _command(kind, at, service_number=number, **more)
    if active:
        yield _command("activate_number", active, service_number=number)


def _command(kind: str, at: str, **fields: Any) -> dict[str, Any]:
    known = {name: value for name, value in fields.items() if value is not None}
    return {"kind": kind, "at": instant_text(instant(at)), **known}


# playing


class World:
    """A ledger, and what the last row did to it."""

    def __init__(self, folder: Path, book: str) -> None:
        self.home = Home.create(folder, book, "scenario.toml", instant("2026-06-01 00:00"))
        self.posted: dict[str, Posting] = {}
        self.lines = self.records = self.fees_hao = 0
        self.outcome: tuple[str, str | None, str | None] = ("accepted", None, None)
        self.events: list[Event] = []
        self.calls = pa.table({})

    def begin(self, clauses: list[str]) -> None:
        """Submits what is given, all of which must be accepted."""
        commands = [one for clause in clauses for one in given_commands(clause)]
        lines = [json.dumps({"command_id": f"given-{n}", **one}).encode() for n, one in enumerate(commands)]
        if lines:
            latest = max(datetime.fromisoformat(one["at"]) for one in commands)
            for answer in self._submit(lines, latest):
                assert answer.outcome == "accepted", f"given: {answer}"
        self._look(1, 0)

    def play(self, row: Row) -> None:
        """Does what the row says and notes what came of it."""
        events_before, calls_before = self.home.events.next_seq, self.home.calls.next_seq
        at, what = instant(row.when), row.what.split()
        self.outcome = ("accepted", None, None)
        if what[0] == "call":
            self.call(at, row.given)
        elif what[0] == "close":
            self.close(what[1], at)
        elif what[0] == "retry":
            retry(self.home, Reason(row.given) if row.given else None, at)
        elif what[0] == "line":
            self._submit([row.given.encode()], at)
        else:
            self._submit([json.dumps(self._as_command(row)).encode()], at)
        self._look(events_before, calls_before)

    def _submit(self, lines: list[bytes], received_at: datetime) -> list[Answer]:
        answers = submit(self.home, [Line(raw) for raw in lines], "scenario", received_at, lambda _: {})
        self.lines += len(lines)
        self.outcome = (answers[-1].outcome, answers[-1].reason, answers[-1].detail)
        return answers

    def _as_command(self, row: Row) -> dict[str, Any]:
        """A row as a command; what it leaves out is the scenario's first number, customer or provider."""
        named = _named(row.given)
        head = {"command_id": named.pop("id", f"row-{row.line}"), "kind": row.what,
                "at": instant_text(instant(named.pop("at", row.when)))}  # fmt: skip
        values: dict[str, Any] = {_SHORT.get(name, name): value for name, value in named.items()}
        for name, one in (business.fields_of(row.what) or {}).items():
            if one.required and name not in values:
                values[name] = self._unless_named(name)
            if name == "documents":
                values[name] = values[name].split()
            elif name == "account":
                values[name] = self._account(values[name])
            elif name == "posting_id":
                values[name] = self._posting_id(values[name])
            elif name == "deadline_days" and name in values:
                values[name] = int(values[name])
            elif name == "legitimate" and name in values:
                values[name] = values[name] == "true"
        return head | {name: value for name, value in values.items() if value != "nothing"}

    def _unless_named(self, name: str) -> str:
        state = self.home.state
        known = {
            "service_number": state.numbers,
            "customer_id": state.customers,
            "provider_id": [*state.providers][1:],
        }
        return next(iter(known[name]), "?") if name in known else _UNLESS_NAMED[name]

    def _account(self, text: str) -> str:
        """`C1` -> `customer/C1`; what has a slash stays as it is."""
        return (
            text
            if "/" in text
            else f"{'customer' if text in self.home.state.customers else 'provider'}/{text}"
        )

    def _posting_id(self, text: str) -> str:
        """`payment 200.00` -> the id of the last such posting; what is none stays as it is."""
        kind, _, amount = text.partition(" ")
        found = [
            posting_id
            for posting_id, posting in self.posted.items()
            if posting.kind == kind and (not amount or posting.amount_hao == parse_yuan(amount))
        ]
        return found[-1] if found else text

    def close(self, month: str, at: datetime) -> None:
        try:
            close(self.home, month, at)
        except Refused as no:
            self.outcome = ("refused", no.reason, no.detail)

    def call(self, at: datetime, text: str) -> None:
        """A call that starts at `at` and arrives as it ends; or arrives at `at`, if the row says when it started."""
        record = dict.fromkeys(RECORD.names) | {
            "call_id": f"call-{self.records}", "caller_number": "13853100001", "raw": b"{}", "source_pos": self.records,
            "service_number": next(iter(self.home.state.numbers), NUMBER),
        }  # fmt: skip
        talked, start, times = 0, None, 1
        for item in text.split(", "):
            name, _, value = item.partition(" ")
            if (length := _seconds(item)) is not None:
                talked = length
            elif value == "times":
                times = int(name)
            elif name == "started":
                start = instant(value)
            elif name == "said":
                record["duration_s"] = _seconds(value)
            elif name != "unanswered":
                record[_OF_CALLS[name]] = None if value == "withheld" else value
        begun = start or at
        record |= {"start_at": begun, "end_at": begun + timedelta(seconds=talked)}
        record["answer_at"] = None if "unanswered" in text else begun
        received_at = at if start else record["end_at"]
        rows = [
            record if times == 1 else record | {"call_id": f"{record['call_id']}-{n}"} for n in range(times)
        ]
        charge(self.home, pa.Table.from_pylist(rows, schema=RECORD), "scenario", received_at, {})
        self.records += times

    def _look(self, events_before: int, calls_before: int) -> None:
        """Reads what the row added to the ledger."""
        rows = self.home.events.read_since(events_before, _READ)
        found = [event for _, event in read_events(rows)]
        for seq, event in enumerate(found, start=events_before):
            self.posted |= {
                f"{seq}-{place}": posting for place, posting in enumerate(postings_of(event), start=1)
            }
        self.events = [event for event in found if event.outcome == "accepted"]
        self.calls = self.home.calls.read_since(calls_before)
        self.fees_hao += sum(from_decimal_array(self.calls.column("owner_fee")).tolist())
        if self.calls.num_rows:
            last = self.calls.slice(self.calls.num_rows - 1).to_pylist()[0]
            self.outcome = (last["outcome"], last["reason"], last["detail"])


if __name__ == "__main__":
    for path in FOLDER.glob("*.txt"):
        path.write_text(aligned(path.read_text(encoding="utf-8")), encoding="utf-8")
