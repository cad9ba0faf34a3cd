"""The business life of the demo's town: commands in time order, from the first provider to the last payment."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Any

from rating.calendar import SHANGHAI, first_day, instant_text, month_of
from rating.money import yuan_text
from rating.reasons import Reason
from streams.town_people import CAST, PROVIDERS, Line, People
from streams.town_purse import RAISED_TO_YUAN, renewals_of

DOCUMENTS = ["business_licence", "tax_registration", "organisation_code"]
NEW_RATE = "0.25"
_CARRIERS = {
    "4000": "China Unicom", "4006": "China Unicom", "4001": "China Mobile", "4007": "China Mobile",
    "4008": "China Telecom", "4009": "China Telecom",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A command before it has its id; `refused` if a rule will refuse it, `again` if it is sent twice."""

    at: datetime
    kind: str
    fields: Mapping[str, object]
    refused: Reason | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_commands` gave: lines by month, and what will not be accepted."""

    lines: Mapping[str, list[bytes]]
    refusals: Mapping[str, Reason]
    """command_id -> the reason it is refused with"""
    duplicates: tuple[str, ...]
    unreadable: int


@dataclass
class _Diary:
    months: list[str]
    rng: random.Random
    entries: list[Entry] = field(default_factory=list)

    def at(self, month: int, day: int, hour: int, minute: int = 0) -> datetime:
        """An instant of a working day; `day` counts from 0, seconds are drawn."""
        start = datetime.combine(
            first_day(self.months[month]), time(hour, minute, self.rng.randrange(60)), SHANGHAI
        )
        return start + timedelta(days=day)

    def note(self, at: datetime, kind: str, refused: Reason | None = None, /, **fields: object) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        self.entries.append(Entry(at, kind, given, refused))

    def note_again(self) -> None:
        """The last command is sent twice."""
        self.entries[-1] = replace(self.entries[-1], again=True)


def write_commands(
    people: People, months: list[str], payments: Mapping[tuple[int, int], int], seed: int
) -> Written:
    """All commands of the town as JSON Lines. Ids are `cmd-<month>-<number>`, stable for a seed."""
    diary = _Diary(months, random.Random(f"commands {seed}"))
    _platform(diary, people)
    for customer in range(len(people.customers)):
        _opening(diary, people, customer)
        _paying(diary, people, customer, payments)
    for line in range(len(people.lines)):
        for month in renewals_of(people, line, len(months)):
            number, plan_id = people.lines[line].number, people.lines[line].plan.plan_id
            diary.note(diary.at(month, 9, 10), "renew_contract", service_number=number, plan_id=plan_id)
    _holds(diary, people)
    _episodes(diary, people)
    return _written(diary.entries, months)


def _platform(diary: _Diary, people: People) -> None:
    """Providers with their deposits, and the stock of numbers. P06 pays in less than its features cost."""
    start = diary.at(0, 0, 8, 30)
    deposit = 5000 * -(-len(people.customers) // 60)
    for place, provider in enumerate(PROVIDERS):
        at = start + timedelta(minutes=place)
        diary.note(
            at,
            "register_provider",
            provider_id=provider.provider_id,
            name=provider.name,
            parent_id=provider.parent_id,
        )
        amount = "100.00" if provider.provider_id == "P06" else f"{deposit}.00"
        diary.note(
            at + timedelta(seconds=30),
            "receive_payment",
            account=f"provider/{provider.provider_id}",
            amount=amount,
            reference=f"预存 {provider.provider_id}",
        )
        if place == 0:
            diary.note_again()
    at = start + timedelta(minutes=8)
    for place, number in enumerate(
        (*(line.number for line in people.lines), *people.stock, people.special_stock)
    ):
        added_at = at + timedelta(milliseconds=200 * place)
        diary.note(added_at, "add_number", service_number=number, carrier=_CARRIERS[number[:4]])


def _opening(diary: _Diary, people: People, customer: int) -> None:
    """A customer comes, and each of its numbers goes its way to being active."""
    who = people.customers[customer]
    lines = [people.lines[line] for line in people.lines_of(customer)]
    first = min(line.opens_on for line in lines)
    at = diary.at(who.joined, first, 8, 50) + timedelta(minutes=diary.rng.randrange(15))
    low = who.low_balance_yuan
    diary.note(
        at,
        "register_customer",
        customer_id=who.customer_id,
        provider_id=who.provider_id,
        name=who.name,
        low_balance=None if low is None else f"{low}.00",
    )
    for line in lines:
        _contract(diary, people, line)
        _activation(diary, people, line)


def _contract(diary: _Diary, people: People, line: Line) -> None:
    """Day one: intent form where one is needed, hold, contract."""
    who, rng = people.customers[line.customer], diary.rng
    at = diary.at(who.joined, line.opens_on, 9, 10) + timedelta(minutes=rng.randrange(40))
    intent_id = None
    if line.number_class != "ordinary" or line.number.startswith("4008"):
        intent_id = f"I-{line.number}"
        prospect = {"name": who.name, "purpose": "客户服务热线", "contact": line.phones[0]}
        diary.note(
            at,
            "submit_intent",
            intent_id=intent_id,
            provider_id=who.provider_id,
            service_number=line.number,
            prospect=prospect,
        )
        at += timedelta(minutes=rng.randint(20, 50))
        diary.note(at, "approve_intent", intent_id=intent_id)
    at += timedelta(minutes=rng.randint(5, 20))
    diary.note(
        at, "hold_number", service_number=line.number, provider_id=who.provider_id, intent_id=intent_id
    )
    signed_at = at + timedelta(minutes=rng.randint(90, 240))
    diary.note(
        signed_at,
        "sign_contract",
        service_number=line.number,
        customer_id=who.customer_id,
        plan_id=line.plan.plan_id,
        starts_on=signed_at.date().isoformat(),
        rate=line.rate,
        minimum=None if line.minimum_yuan is None else f"{line.minimum_yuan}.00",
        reference=f"HT{signed_at:%Y%m%d}-{line.number[3:]}",
    )


def _activation(diary: _Diary, people: People, line: Line) -> None:
    """Day two (or three, if the documents were wrong): documents, real name, activation, features."""
    joined, rng = people.customers[line.customer].joined, diary.rng
    day = line.opens_on + 1
    at = diary.at(joined, day, 8, 40) + timedelta(minutes=rng.randrange(40))
    diary.note(at, "submit_documents", service_number=line.number, documents=DOCUMENTS)
    if line.rejected_once:
        diary.note(
            at + timedelta(hours=2),
            "reject_real_name",
            service_number=line.number,
            reason="营业执照照片不清晰，请重新提交",
        )
        at = diary.at(joined, day + 1, 9, 5)
        diary.note(at, "submit_documents", service_number=line.number, documents=DOCUMENTS)
    at += timedelta(minutes=rng.randint(60, 180))
    diary.note(at, "approve_real_name", service_number=line.number)
    at += timedelta(minutes=rng.randint(30, 120))
    diary.note(at, "activate_number", service_number=line.number)
    for feature in line.features:
        at += timedelta(minutes=rng.randint(5, 60))
        diary.note(at, "enable_feature", service_number=line.number, feature=feature)


def _paying(diary: _Diary, people: People, customer: int, payments: Mapping[tuple[int, int], int]) -> None:
    """A newcomer pays on the day of its contract, later in the first week of the month."""
    who = people.customers[customer]
    for month in range(who.joined, len(diary.months)):
        hao = payments.get((customer, month))
        if hao is None:
            continue
        first = month == who.joined
        at = diary.at(
            month, 1 if first else diary.rng.randrange(5), 16 if first else diary.rng.randint(9, 16), 30
        )
        diary.note(
            at,
            "receive_payment",
            account=f"customer/{who.customer_id}",
            amount=yuan_text(hao),
            reference=f"网银 {at:%Y%m%d}{diary.rng.randrange(10**6):06d}",
        )


def _holds(diary: _Diary, people: People) -> None:
    """Holds that a rule refuses, and a number that goes from one tree of providers to another."""
    taken = people.lines[people.lines_of(CAST.firm)[0]]
    owner_tree = people.customers[taken.customer].provider_id in {"P01", "P03", "P04", "P06"}
    diary.note(
        diary.at(0, taken.opens_on, 10, 30),
        "hold_number",
        Reason.NUMBER_TAKEN,
        service_number=taken.number,
        provider_id="P05" if owner_tree else "P04",
    )
    wanted = people.stock[0]
    diary.note(diary.at(0, 5, 10), "hold_number", service_number=wanted, provider_id="P04")
    released = diary.at(0, 6, 9)
    diary.note(released, "release_number", service_number=wanted)
    tries: tuple[tuple[int, str, Reason | None], ...] = (
        (10, "P05", Reason.NUMBER_COOLING),
        (40, "P03", Reason.HOLD_CONSECUTIVE),
        (45, "P05", None),
    )
    for minutes, provider_id, refused in tries:
        at = released + timedelta(minutes=minutes)
        diary.note(at, "hold_number", refused, service_number=wanted, provider_id=provider_id)
    diary.note(
        diary.at(0, 7, 11),
        "hold_number",
        Reason.INTENT_MISSING,
        service_number=people.special_stock,
        provider_id="P02",
    )


def _episodes(diary: _Diary, people: People) -> None:
    """What happens to single numbers: minimums, a rate, features."""
    last = len(diary.months) - 1
    second = min(1, last)

    def number(customer: int) -> str:
        return people.lines[people.lines_of(customer)[0]].number

    diary.note(
        diary.at(second, 9, 14),
        "set_minimum",
        service_number=number(CAST.raised),
        minimum=f"{RAISED_TO_YUAN}.00",
    )
    diary.note(diary.at(second, 11, 10), "change_rate", service_number=number(CAST.repriced), rate=NEW_RATE)
    diary.note(
        diary.at(last, 12, 10),
        "set_minimum",
        Reason.MINIMUM_LOWERED,
        service_number=number(CAST.firm),
        minimum="80.00",
    )
    ivr = {"service_number": number(CAST.featured), "feature": "ivr"}
    diary.note(diary.at(0, 14, 9), "enable_feature", Reason.FEATURE_ON, **ivr)
    diary.note(diary.at(second, 17, 9), "disable_feature", **ivr)
    diary.note(diary.at(second, 19, 9), "enable_feature", **ivr)


def _written(entries: Iterable[Entry], months: list[str]) -> Written:
    lines: dict[str, list[bytes]] = {month: [] for month in months}
    refusals: dict[str, Reason] = {}
    duplicates: list[str] = []
    for entry in sorted(entries, key=lambda entry: entry.at):
        month = month_of(entry.at)
        command_id = f"cmd-{month}-{len(lines[month]) + 1:05d}"
        line = _line(
            {"command_id": command_id, "at": instant_text(entry.at), "kind": entry.kind, **entry.fields}
        )
        lines[month].append(line)
        if entry.refused is not None:
            refusals[command_id] = entry.refused
        if entry.again:
            lines[month].append(line)
            duplicates.append(command_id)
    middle = len(lines[months[0]]) * 4 // 5
    cut = lines[months[0]][middle]
    lines[months[0]].insert(middle, cut[: len(cut) * 2 // 3].rstrip() + b"\n")
    return Written(lines, refusals, tuple(duplicates), unreadable=1)


def _line(command: Mapping[str, Any]) -> bytes:
    return json.dumps(command, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
