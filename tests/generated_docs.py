"""The parts of docs/ that say what the code says: `make docs` writes them, tests/test_docs.py compares them.

A generated part stands between `<!-- generated: name -->` and `<!-- end of name -->`; all else on a page is
written by hand.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FunctionType, ModuleType

import click

import fentan
from ledger.query import connect
from rating import commands
from rating.business import KINDS
from rating.life_table import LIFE
from rating.reasons import Reason
from reports.questions import example_of, standard_questions
from tests.console_blocks import Shell, make_town, run_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_PART = r"(<!-- generated: {name} -->\n).*?(<!-- end of {name} -->)"
_FIELDS = {
    commands.TEXT: "text",
    commands.TEXT_OR_NONE: "text",
    commands.AMOUNT: "amount",
    commands.AMOUNT_OR_NONE: "amount",
    commands.DAY: "day",
    commands.MONTH_OR_NONE: "month",
    commands.TRUTH_OR_NONE: "true or false",
    commands.WHOLE_OR_NONE: "whole number",
    commands.DETAILS: "text or object",
    commands.NAMES: "list of names",
}


def kinds() -> str:
    """Every kind of command with its fields and the reasons it is refused with; `?` marks what may be left out."""
    rows = []
    for kind, one in KINDS.items():
        fields = ", ".join(
            f"`{name}`{'' if field.required else '?'} {_FIELDS[field]}" for name, field in one.fields.items()
        )
        refusals = " ".join(f"`{reason}`" for reason in Reason if reason in refused_with(one.decide))
        rows.append(f"| [`{kind}`](#{kind}) | {fields or 'none'} | {refusals or 'nothing'} |")
    head = "| kind | fields beside `command_id`, `at` and `kind` | refused with |"
    return "\n".join([head, "|---|---|---|", *rows])


def refused_with(decide: object, seen: set[FunctionType] | None = None) -> set[str]:
    """The reasons that a function of rating names, itself or through what it calls."""
    seen = set() if seen is None else seen
    if not isinstance(decide, FunctionType) or decide in seen or not decide.__module__.startswith("rating."):
        return set()
    seen.add(decide)
    names = set(_names_in(decide.__code__))
    found = {name for name in names if name in Reason.__members__} if "Reason" in names else set()
    places = [decide.__globals__]
    places += [vars(place) for name in names if isinstance(place := decide.__globals__.get(name), ModuleType)]
    for name in names:
        for place in places:
            found |= refused_with(place.get(name), seen)
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)


def reasons() -> str:
    """Every reason, what it means and what helps."""
    rows = [
        f"| `{reason}` | {reason.meaning} | {reason.what_to_do} | {'yes' if reason.retry else 'no'} |"
        for reason in Reason
    ]
    return "\n".join(["| code | says | what to do | can `fentan retry` help? |", "|---|---|---|---|", *rows])


def life() -> str:
    """The states of a number and what leads from one to another, drawn and as a table, from the code's own table."""
    drawn: dict[tuple[str, str], list[str]] = {}
    for step in LIFE:
        for start in step.starts if step.to else ():
            if start != step.to:
                drawn.setdefault((start, step.to), []).append(step.by)
    arrows = [f"    {start} --> {to}: {', '.join(by)}" for (start, to), by in drawn.items()]
    rows = [
        f"| {', '.join(f'`{start}`' for start in step.starts)} | {_spelt(step.by)} | {f'`{step.to}`' if step.to else 'the same'} "
        f"| {step.needs or '–'} |"
        for step in LIFE
    ]
    head = ["| from | by | to | needs |", "|---|---|---|---|"]
    drawing = ["```mermaid", "stateDiagram-v2", "    [*] --> free: add_number", *arrows, "```"]
    return "\n".join([*drawing, "", *head, *rows])


def _spelt(by: str) -> str:
    kind, _, more = by.partition(" ")
    return f"`{kind}`{f' {more}' if more else ''}" if kind in KINDS else by


def views() -> str:
    """Every public view with its columns, from the comments in ledger/views."""
    with connect([], [], now=datetime(2026, 1, 1, tzinfo=UTC), calls_seq=0, events_seq=0) as con:
        names = con.sql("SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL ORDER BY 1")
        columns = con.sql(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL"
        )
        order = con.sql(
            "SELECT table_name, column_name FROM duckdb_columns() ORDER BY table_name, column_index"
        )
        told = {(view, column): (kind, what) for view, column, kind, what in columns.fetchall()}
        in_order = order.fetchall()
        parts = []
        for view, what in names.fetchall():
            parts += [f"### {view}", "", _cell(what), "", "| column | type | |", "|---|---|---|"]
            for column in (column for of, column in in_order if of == view):
                kind, comment = told[view, column]
                short = kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
                parts.append(f"| `{column}` | {short} | {_cell(comment)} |")
            parts.append("")
    return "\n".join(parts).rstrip()


def options() -> str:
    """Every command of the command line with its arguments and options, from the program itself."""
    program = click.Context(fentan.main, info_name="fentan")
    parts = ["### fentan", "", *_usage(fentan.main, program)]
    for context in _commands(fentan.main, program):
        name = context.command_path.removeprefix("fentan ")
        parts += ["", f"### {name}", "", *_usage(context.command, context)]
    return "\n".join(parts)


def _commands(group: click.Group, of_group: click.Context) -> Iterator[click.Context]:
    """Every command below a group, those of groups within it included."""
    for name in group.list_commands(of_group):
        command = group.commands[name]
        context = click.Context(command, of_group, info_name=name)
        yield context
        if isinstance(command, click.Group):
            yield from _commands(command, context)


def _usage(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"`{' '.join([context.command_path, *command.collect_usage_pieces(context)])}`"
    yield ""
    yield _cell((command.help or "").replace("\n", " "))
    records = [parameter.get_help_record(context) for parameter in command.params]
    told = [record for record in records if record]
    if told:
        yield from ("", "| option | |", "|---|---|")
        yield from (f"| `{_cell(option)}` | {_cell(what)} |" for option, what in told)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def questions() -> str:
    """Finance's standard questions with their meaning, parameters and an example."""
    parts = []
    for one in standard_questions():
        parts += [f"### {one.name}", "", f"**{one.title}.** {one.meaning}", ""]
        for parameter in one.parameters:
            default = "" if parameter.default is None else f" (default {parameter.default})"
            parts.append(f"* `{parameter.name}`{default}: {parameter.meaning}")
        parts += [""] if one.parameters else []
        parts += ["```text", example_of(one, QUESTION_VALUES), "```", ""]
    return "\n".join(parts).rstrip()


QUESTION_VALUES = {"month": "2026-10", "with": "2026-09", "day": "2026-09-03"}

PARTS: dict[str, Callable[[], str]] = {
    "questions": questions,
    "kinds": kinds,
    "reasons": reasons,
    "views": views,
    "options": options,
    "life": life,
}


def filled(page: str) -> str:
    """The page's text with its generated parts as they must be now."""
    for name, make in PARTS.items():
        part = re.compile(_PART.format(name=name), re.DOTALL)
        if part.search(page):
            text = make()
            page = part.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
    return page


def renewed(page: str, shell: Shell) -> str:
    """The page's text with the answers that its examples give now, where they are not what it shows."""
    answers = [(block, text) for block, text, wrong in run_page(page, shell) if wrong]
    for block, text in reversed(answers):
        page = f"{page[: block.start]}{text}{page[block.end :]}"
    return page


def main() -> None:
    """Writes the generated parts and the examples' answers anew."""
    with TemporaryDirectory() as place:
        town = make_town(Path(place))
        for path in PAGES:
            folder = Path(place) / path.stem
            shutil.copytree(town, folder / town.name)
            page = path.read_text(encoding="utf-8")
            with chdir(folder):
                wanted = renewed(filled(page), Shell(folder))
            if wanted != page:
                path.write_text(wanted, encoding="utf-8")
                print(f"{path.relative_to(ROOT)} was written anew: look at what changed.")


if __name__ == "__main__":
    main()
