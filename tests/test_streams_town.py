"""The demo's town: the same for a seed, of the wanted size, readable, plausible, and dirty as announced."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rating import accounts, business, price_book
from rating.accounts import Command, Event
from rating.areas import area_name, caller_areas
from rating.calendar import SHANGHAI, month_of, parse_instant, start_of_month
from rating.commands import read_command
from rating.numbers import number_class
from rating.state import State
from streams.town import CallFile, Town, TownMonth, make_town

LAST_MONTH = "2026-10"
CALLS = 8_000


@dataclass(frozen=True)
class Call:
    call_id: str
    number: str
    caller: str | None
    start_at: datetime
    talk_s: int
    file: str


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return make_town(tmp_path_factory.mktemp("town"), calls=CALLS, months=3, last_month=LAST_MONTH)


@pytest.fixture(scope="module")
def calls(town: Town) -> list[Call]:
    """The valid distinct calls of all files, in the files' order."""
    return valid_calls(town)


def valid_calls(town: Town) -> list[Call]:
    known = {command["service_number"] for command in commands(town) if command["kind"] == "activate_number"}
    found: dict[str, Call] = {}
    for file in [file for month in town.months for file in month.call_files] + [town.late]:
        for record in records(file):
            call = as_call(record, file)
            if call and call.number in known and call.start_at < file.arrives_at:
                found.setdefault(call.call_id, call)
    return list(found.values())


def records(file: CallFile) -> list[dict[str, Any]]:
    data = file.path.read_bytes()
    if file.format == "jsonl":
        return [record for line in data.splitlines() if (record := read_json(line))]
    if file.format == "csv":
        return [dict(row) for row in csv.DictReader(io.StringIO(data.decode()))]
    rows = list(csv.reader(io.StringIO(data.decode(errors="replace"))))
    if file.format == "freeswitch":
        names = (
            "name",
            "caller_number",
            "service_number",
            "",
            "start_at",
            "answer_at",
            "end_at",
            "",
            "duration_s",
            "",
            "call_id",
        )
        assert {len(row) for row in rows} <= {15}
        return [dict(zip(names, row[:11], strict=True)) for row in rows]
    assert {len(row) for row in rows} <= {18}
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        answered = row[14] == "ANSWERED"
        one = {"call_id": row[16], "caller_number": row[1], "service_number": row[2]}
        one |= {"start_at": row[9], "answer_at": row[10], "end_at": row[11], "duration_s": row[13]}
        first = merged.setdefault(row[16], one)
        if answered:
            merged[row[16]] = one | {"start_at": min(first["start_at"], row[9])}
    return list(merged.values())


def read_json(line: bytes) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


def as_call(record: dict[str, Any], file: CallFile) -> Call | None:
    number = unicodedata.normalize("NFKC", record["service_number"]).replace("-", "").removeprefix("+86")
    if len(number) != 10 or not record.get("start_at"):
        return None
    start, end, answer = (instant(record[name]) for name in ("start_at", "end_at", "answer_at"))
    assert start and end
    talk_s = 0 if answer is None else int((end - answer).total_seconds())
    given = record.get("duration_s")
    if isinstance(given, float) or not timedelta() <= end - start < timedelta(hours=24):
        return None
    if given not in (None, "") and int(given) != talk_s:
        return None
    return Call(record["call_id"], number, record["caller_number"] or None, start, talk_s, file.format)


def instant(text: str | None) -> datetime | None:
    if not text:
        return None
    if "T" in text:
        return parse_instant(text)
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def command_lines(town: Town) -> list[bytes]:
    return [line for month in town.months for line in month.commands.read_bytes().splitlines()]


def commands(town: Town) -> list[dict[str, Any]]:
    return [command for line in command_lines(town) if (command := read_json(line))]


def fingerprint(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    towns = [
        make_town(tmp_path / name, calls=500, months=2, seed=seed, last_month=LAST_MONTH)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    a, b, c = (fingerprint(town.folder) for town in towns)
    assert a == b
    assert towns[0].tally == towns[1].tally
    assert all(c[name] != digest for name, digest in a.items())


def test_the_files_hold_as_many_valid_distinct_calls_as_were_asked_for(town: Town, calls: list[Call]) -> None:
    assert len(calls) == town.tally.calls == CALLS
    assert sum(call.talk_s > 0 for call in calls) == town.tally.answered
    assert sum(-(-call.talk_s // 60) for call in calls) == town.tally.billed_min


@pytest.mark.parametrize(("size", "months"), [(100, 1), (100, 13), (1000, 2)])
def test_small_and_long_towns_are_whole(tmp_path: Path, size: int, months: int) -> None:
    town = make_town(tmp_path, calls=size, months=months, seed=-3, last_month=LAST_MONTH)
    assert [month.month for month in town.months][-1] == LAST_MONTH
    assert len(town.months) == months
    assert len(valid_calls(town)) == size
    assert bool(town.standouts.renewed) == (months > 12)


@pytest.mark.parametrize(
    "wrong", [{"calls": 99}, {"calls": 10_000_001}, {"months": 0}, {"months": 25}, {"last_month": "2026-13"}]
)
def test_sizes_out_of_bounds_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not"):
        make_town(tmp_path, **{"last_month": LAST_MONTH, **wrong})


def test_calls_have_a_daily_and_a_weekly_rhythm(calls: list[Call]) -> None:
    hours = Counter(call.start_at.astimezone(SHANGHAI).hour for call in calls)
    morning, lunch, afternoon = hours[10], hours[12], hours[15]
    assert min(morning, afternoon) > 1.4 * lunch
    assert lunch > 4 * hours[3]
    assert max(hours, key=lambda hour: hours[hour]) in {10, 15}
    days = Counter(call.start_at.astimezone(SHANGHAI).date() for call in calls)
    weekend = [count for day, count in days.items() if day.weekday() >= 5]
    working = [count for day, count in days.items() if day.weekday() < 5]
    assert 0.6 < (sum(weekend) / len(weekend)) / (sum(working) / len(working)) < 0.95


def test_durations_and_callers_are_plausible(calls: list[Call]) -> None:
    talks = sorted(call.talk_s for call in calls if call.talk_s)
    assert 65 < talks[len(talks) // 2] < 110
    assert 0.10 < 1 - len(talks) / len(calls) < 0.14
    callers = Counter(call.caller for call in calls if call.caller)
    assert 0.001 < sum(call.caller is None for call in calls) / len(calls) < 0.01
    assert callers.most_common(1)[0][1] >= 5
    assert 0.3 < len(callers) / len(calls) < 0.9
    areas = caller_areas(pa.array([call.caller for call in calls])).to_pylist()
    provinces = Counter((area_name(area) or ("?",))[0] for area in areas if area)
    assert provinces["山东"] > 0.4 * len(calls)
    assert (
        0.002
        < sum(caller.startswith(("+852", "+853", "+886", "+1", "00", "+44")) for caller in callers)
        / len(callers)
        < 0.03
    )
    assert sum(area is None for area in areas) < 0.03 * len(calls)


def test_a_number_is_called_only_after_its_activation_and_in_the_month_of_the_file(
    town: Town, calls: list[Call]
) -> None:
    active = {
        c["service_number"]: parse_instant(c["at"]) for c in commands(town) if c["kind"] == "activate_number"
    }
    assert all(active[call.number] < call.start_at for call in calls)
    for month in town.months:
        for file in month.call_files:
            assert f"/{month.month}/" in file.path.as_posix()
            assert file.arrives_at > start_of_month(month.month)
    late = [call for record in records(town.late) if (call := as_call(record, town.late))]
    assert {month_of(call.start_at) for call in late} == {town.late_month}
    assert sum(call.number == town.standouts.hardly_called for call in late) >= len(late) // 4


def test_every_format_is_written_with_its_own_quirks(town: Town, calls: list[Call]) -> None:
    """F-09: caller names that are not UTF-8; CONTRACT: several rows of one Asterisk call."""
    share = Counter(call.file for call in calls)
    assert set(share) == {"jsonl", "csv", "freeswitch", "asterisk"}
    assert share["jsonl"] > CALLS // 2
    files = {file.format: file.path.read_bytes() for file in town.months[1].call_files}
    with pytest.raises(UnicodeDecodeError):
        files["freeswitch"].decode()
    ids = Counter(row[16] for row in csv.reader(io.StringIO(files["asterisk"].decode())))
    assert max(ids.values()) == 2
    json_text = b"".join(
        file.path.read_bytes() for file in town.months[1].call_files if file.format == "jsonl"
    ).decode()
    for spelling in (r'"400-\d{3}-\d{4}"', r'"\+86400\d{7}"', r'"４００[０-９]{7}"'):
        assert re.search(spelling, json_text), spelling


def test_the_dirt_is_what_the_tally_says(town: Town) -> None:
    """F-01 … F-05, F-09, F-10, F-11: the kinds are there, and duplicates are about three in a thousand."""
    seen: dict[str, set[bytes]] = {}
    duplicates = conflicts = unreadable = 0
    kinds: Counter[str] = Counter()
    for file in [
        file for month in town.months for file in month.call_files if file.format in {"jsonl", "csv"}
    ]:
        for line in file.path.read_bytes().splitlines()[file.format == "csv" :]:
            record = read_json(line) if file.format == "jsonl" else {"call_id": line.split(b",")[0].decode()}
            if record is None:
                unreadable += 1
                continue
            duplicates += line in seen.get(record["call_id"], set())
            conflicts += record["call_id"] in seen and line not in seen[record["call_id"]]
            seen.setdefault(record["call_id"], set()).add(line)
            if file.format == "csv":
                continue
            kinds["area code"] += record["service_number"].startswith("010-400")
            kinds["no start"] += "start_at" not in record
            kinds["nan"] += str(record.get("duration_s")) == "nan"
            kinds["fraction"] += str(record.get("duration_s", "")).endswith(".5")
            kinds["thirty hours"] += record.get("duration_s") == 108_000
            kinds["ahead"] += (
                parse_instant(record["start_at"]) > file.arrives_at + timedelta(days=1)
                if "start_at" in record
                else 0
            )
    tally = town.tally
    assert (duplicates, conflicts) == (tally.duplicates, tally.conflicts)
    assert 0.001 < duplicates / CALLS < 0.006
    assert conflicts >= 3
    assert min(kinds.values()) >= 3
    assert unreadable + kinds["nan"] + kinds["fraction"] == tally.rejects["UNREADABLE"]  # type: ignore[index]
    assert kinds["ahead"] == tally.rejects["CLOCK_SKEW"] == 3  # type: ignore[index]


def test_commands_come_in_time_order_with_stable_ids(town: Town) -> None:
    parsed = commands(town)
    instants = [parse_instant(command["at"]) for command in parsed]
    assert instants == sorted(instants)
    times = Counter(command["command_id"] for command in parsed)
    repeated = [command_id for command_id, count in times.items() if count > 1]
    # the line that is cut short would have been a command of its own
    assert repeated == list(town.tally.repeated_commands)
    assert len(command_lines(town)) - len(parsed) == town.tally.unreadable_commands == 1
    assert len(command_lines(town)) == town.tally.commands
    for month in town.months:
        in_file = [
            json.loads(line)["at"][:7] for line in month.commands.read_bytes().splitlines() if read_json(line)
        ]
        assert set(in_file) == {month.month}


def test_the_life_of_every_number_is_in_order(town: Town) -> None:
    """R-NUM-1, R-HOLD-1, R-HOLD-4: intent before the hold of special numbers, the contract within the hold."""
    life = (
        "add_number",
        "submit_intent",
        "hold_number",
        "sign_contract",
        "submit_documents",
        "approve_real_name",
        "activate_number",
    )
    first: dict[str, dict[str, datetime]] = {}
    for command in commands(town):
        if "service_number" in command and command["command_id"] not in town.tally.refusals:
            first.setdefault(command["service_number"], {}).setdefault(
                command["kind"], parse_instant(command["at"])
            )
    used = {number: steps for number, steps in first.items() if "activate_number" in steps}
    assert len(used) == town.tally.numbers
    for number, steps in used.items():
        instants = [steps[step] for step in life if step in steps]
        assert instants == sorted(instants)
        assert steps["sign_contract"] - steps["hold_number"] < timedelta(hours=72)
        special = number_class(number) != "ordinary"
        assert special == (number in town.standouts.special_numbers)
        assert ("submit_intent" in steps) == (special or number.startswith("4008"))
    assert set(town.standouts.special_numbers.values()) == {
        "AAAAA",
        "ABCD",
        "AAAA",
        "AABBCC",
        "ABC-ABC",
        "AAA-BBB",
        "ABCDE",
    }
    kinds = {command["kind"] for command in commands(town)}
    assert kinds >= {
        "reject_real_name",
        "change_rate",
        "set_minimum",
        "disable_feature",
        "release_number",
        "receive_payment",
    }


def test_every_command_is_answered_as_the_tally_says_and_only_the_debtor_is_left_in_arrears(
    town: Town, calls: list[Call]
) -> None:
    """R-ARR-1, R-ARR-2, R-MIN-1: the town's months lived through by the rules, calls added up by file month."""
    state = State()
    state.facts.put("book", price_book.parse(price_book.default_text(), "default.toml"))
    said: dict[str, Event] = {}
    alerts: dict[str, list[tuple[str, str]]] = {}
    for month in town.months:
        events = [
            event
            for command in read_commands(month, said)
            for event in business.handle(state, command, command.at)
        ]
        said.update((event.command_id, event) for event in events)
        usage = usage_of(state, [call for call in calls if month_of(call.start_at) == month.month])
        at = month.call_files[-1].arrives_at
        for (_, customer_id), hao in usage.items():
            state.move(accounts.usage(customer_id), -hao, month.month)
            events += business.crossings(state, f"customer/{customer_id}", at)
        events += business.close_month(state, month.month, at + timedelta(hours=1), usage)
        alerts[month.month] = [(e.effect["account"], e.effect["kind"]) for e in events if e.kind == "alert"]

    refused = {key: event.reason for key, event in said.items() if event.outcome == "refused"}
    assert refused == town.tally.refusals
    debtor, cleared = town.standouts.debtor, town.standouts.cleared
    assert [a for a, balance in state.balances.items() if a.startswith("customer/") and balance < 0] == [
        f"customer/{debtor}"
    ]
    assert state.balance(f"provider/{town.standouts.provider_in_arrears}") < 0
    assert (f"customer/{debtor}", "suspended") in alerts[LAST_MONTH]
    assert town.standouts.cleared_after is not None
    assert (f"customer/{cleared}", "arrears") in alerts[town.standouts.cleared_after]
    assert (f"customer/{cleared}", "cleared") in alerts[LAST_MONTH]
    assert {account for month in alerts.values() for account, kind in month if kind == "arrears"} == {
        f"customer/{debtor}", f"customer/{cleared}", f"provider/{town.standouts.provider_in_arrears}",
    }  # fmt: skip
    assert any(kind == "low_balance" for month in alerts.values() for _, kind in month)


def read_commands(month: TownMonth, said: Mapping[str, Event]) -> Iterator[Command]:
    """The readable ones that were not sent before."""
    done = set(said)
    for line in month.commands.read_bytes().splitlines():
        given = read_json(line)
        if given and given["command_id"] not in done:
            done.add(given["command_id"])
            yield read_command(given, business.fields_of)


def usage_of(state: State, calls: list[Call]) -> dict[tuple[str, str], int]:
    """(number, customer) -> hao, at the rate of the contract's beginning."""
    usage: dict[tuple[str, str], int] = {}
    for call in calls:
        contract = state.numbers[call.number].contracts[-1]
        key = (call.number, contract.customer_id)
        usage[key] = usage.get(key, 0) + -(-call.talk_s // 60) * contract.rates[0][1]
    return usage
