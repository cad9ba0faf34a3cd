"""Questions with parameters, and finance's standard ones: files of SQL that begin with what they are about.

The comment at a file's beginning is read: its first line is the title, `-- $month: …` describes a parameter,
`-- $top = 20: …` one with a default, the rest says what the answer means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ledger.faults import BadRequest

_FOLDER = Path(__file__).with_name("queries")
_PARAMETER = re.compile(r"\$(\w+)(?: = ([^:]+))?: (.+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a question asks back; without a default it must be given."""

    name: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Question:
    """A statement with what its first comment says."""

    name: str
    title: str
    meaning: str
    parameters: tuple[Parameter, ...]
    sql: str


def standard_questions() -> tuple[Question, ...]:
    """Finance's, by name."""
    return tuple(_read(path.stem, path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.sql")))


def question_in(file: Path) -> Question:
    """The question in a file, or the standard one of this name. BadRequest if there is neither."""
    path = (
        file if file.is_file() or len(file.parts) > 1 else _FOLDER / f"{file.name.removesuffix('.sql')}.sql"
    )
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadRequest(
            f"{file}: {error.strerror}; it is no standard question either (`fentan questions` lists them)."
        ) from None
    return _read(path.stem, text)


def bound(question: Question, given: Iterable[str]) -> dict[str, str]:
    """The question's parameters from `name=value` texts and defaults, all as text.

    BadRequest names what is missing, unknown or no such text.
    """
    values = {one.name: one.default for one in question.parameters if one.default is not None}
    wanted = _named(question.sql)
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise BadRequest(f"--param {text!r} is not name=value, such as month=2026-10.")
        if wanted is not None and name not in wanted:
            raise BadRequest(f"The question has no parameter {name!r}; {_listed(sorted(wanted))}.")
        values[name] = value
    if wanted is None:
        return values
    missing = sorted(wanted - set(values))
    if missing:
        meanings = {one.name: one.meaning for one in question.parameters}
        raise BadRequest(
            f"The question needs --param {missing[0]}=…: {meanings.get(missing[0], 'what stands for $' + missing[0])}."
        )
    return {name: value for name, value in values.items() if name in wanted}


def _listed(names: list[str]) -> str:
    return f"it has {', '.join(names)}" if names else "it has none"


def _named(sql: str) -> set[str] | None:
    """The parameters that stand in the statement; None if it cannot be read: whoever runs it says why."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error:
        return None
    return set().union(*(statement.named_parameters for statement in statements))


def _read(name: str, text: str) -> Question:
    said: list[str] = []
    parameters: list[Parameter] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        words = line.removeprefix("--").strip()
        found = _PARAMETER.fullmatch(words)
        if found:
            parameters.append(Parameter(found[1], found[2] and found[2].strip(), found[3]))
        else:
            said.append(words)
    return Question(name, said[0] if said else name, " ".join(said[1:]), tuple(parameters), text)


def example_of(question: Question, values: Mapping[str, str]) -> str:
    """How the program is asked it."""
    given = "".join(
        f" --param {one.name}={values[one.name]}" for one in question.parameters if one.default is None
    )
    return f"fentan sql --file {question.name}{given}"
