"""The house rules that no linter knows: floats near money, clocks, unused SQL, names, rule ids, hosts.

The direction of imports is import-linter's (`make lint`). A line that must break the rule about floats says
why in a comment that begins with `not money`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rating", "ledger", "streams", "reports")
NEAR_MONEY = ("rating", "ledger", "reports")
READS_THE_CLOCK = {"ledger/session.py"}
MADE = {".git", ".venv", ".hypothesis", "__pycache__", "build", "fentan-data", "fentan-demo"}
MAX_LINES = 500

_MONEY_NAME = re.compile(
    r"(?:^|_)(?:hao|yuan|fen|amount|balance|fee|price|rate|minimum|credit|debit|money)s?(?:_|$)"
)
_DRAWER = re.compile(
    r"(?:^|_)(?:utils?|helpers?|common|base|misc|shared|core|lib|stuff)(?:_|$)", re.IGNORECASE
)
_FLOAT_TYPES = {"float16", "float32", "float64", "float_", "double", "half_float"}
_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime", "ctime"}
_SQL_CLOCK = re.compile(
    r"\b(now|today|current_date|current_timestamp|get_current_timestamp)\b", re.IGNORECASE
)
_SQL_FLOAT = re.compile(r"\b(double|float4?|float8|real|avg|mean)\b|(?<!/)/(?!/)", re.IGNORECASE)
_ID = re.compile(r"\bR-[A-Z]+-\d+\b|\bF-\d\d\b")


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository that is not made by a run."""

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.name in MADE or path.name.endswith(("_cache", ".egg-info")):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return tuple(walk(ROOT))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def of(*suffixes: str, within: tuple[str, ...] | None = None) -> list[Path]:
    """Files with one of the suffixes; only those below (or called) one of `within`, if given."""
    return [
        path
        for path in files()
        if path.suffix in suffixes and (within is None or path.relative_to(ROOT).parts[0] in within)
    ]


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path), named(path))


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(tree(path))


def excused(path: Path, node: ast.expr | ast.stmt) -> bool:
    """True if one of the node's lines says why it is not money."""
    lines = text(path).splitlines()[node.lineno - 1 : node.end_lineno]
    return any(re.search(r"# not money\b.*\w", line) for line in lines)


def at(path: Path, node: ast.expr | ast.stmt, what: str) -> str:
    return f"{named(path)}:{node.lineno}: {what}"


def none(found: Iterable[str]) -> None:
    """Fails with all that was found, a line each."""
    lines = sorted(found)
    assert not lines, "\n" + "\n".join(lines)


# money


def typing_nodes(path: Path) -> set[int]:
    """Ids of the nodes that stand in annotations: what a duration's type is called computes nothing."""
    found: set[int] = set()
    for node in nodes(path):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        found |= {id(inner) for part in parts if part is not None for inner in ast.walk(part)}
    return found


def float_in(node: ast.AST, strict: bool) -> str | None:
    """How a binary float can come from this node, by the syntax alone.

    Outside of rating `/` joins paths, so there only what is named like money counts.
    """
    match node:
        case ast.Constant(value=float() | complex()):
            return f"the float {node.value!r}"
        case ast.Name(id="float"):
            return "float"
        case ast.Attribute() if node.attr in _FLOAT_TYPES:
            return node.attr
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()) if strict or names_money(node):
            return f"the true division {ast.unparse(node)}"
    return None


def names_money(node: ast.AST) -> bool:
    names = (getattr(inner, "id", None) or getattr(inner, "attr", None) for inner in ast.walk(node))
    return any(name and _MONEY_NAME.search(name.lower()) for name in names)


def floats(path: Path) -> Iterator[str]:
    strict = named(path).startswith("rating/")
    typed = set() if strict else typing_nodes(path)
    for node in nodes(path):
        if id(node) in typed or not isinstance(node, (ast.expr, ast.stmt)):
            continue
        what = float_in(node, strict)
        if what and not excused(path, node):
            yield at(path, node, what)


def test_no_binary_float_comes_near_money() -> None:
    """R-INV-4: integers and decimals only, divisions by named roundings (`rating.money`)."""
    none(found for path in of(".py", within=NEAR_MONEY) for found in floats(path))


def sql_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, code without texts and comments, and comment of each line."""
    for number, line in enumerate(text(path).splitlines(), 1):
        code, _, comment = re.sub(r"'[^']*'", "''", line).partition("--")
        yield number, code, comment


def test_no_sql_turns_money_into_floats() -> None:
    """R-INV-4: in DuckDB a decimal divided by anything, and an average, are DOUBLE."""
    found = [
        f"{named(path)}:{number}: {code.strip()}"
        for path in of(".sql", within=PACKAGES)
        for number, code, comment in sql_lines(path)
        if _SQL_FLOAT.search(code) and not comment.strip().startswith("not money")
    ]
    none(found)


# time


def clocks(path: Path) -> Iterator[str]:
    """Where the wall clock is read."""
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and node.attr in _CLOCKS:
            owner = ast.unparse(node.value).rsplit(".", 1)[-1]
            if owner in {"datetime", "date", "time", "dt"}:
                yield at(path, node, ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            for name in node.names:
                if name.name in _CLOCKS:
                    yield at(path, node, f"from time import {name.name}")


def test_only_the_command_line_and_following_read_the_clock() -> None:
    """R-INV-5: time is an argument, so the same facts give the same ledger at any hour."""
    python = [path for path in of(".py", within=PACKAGES) if named(path) not in READS_THE_CLOCK]
    none(found for path in python for found in clocks(path))
    sql = [
        f"{named(path)}:{number}: {code.strip()}"
        for path in of(".sql", within=PACKAGES)
        for number, code, _ in sql_lines(path)
        if _SQL_CLOCK.search(code)
    ]
    none(sql)


def test_rating_does_not_even_measure_time() -> None:
    """R-INV-5: the core imports neither `time` nor randomness."""
    found = [
        at(path, node, ast.unparse(node))
        for path in of(".py", within=("rating",))
        for node in nodes(path)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and {(getattr(node, "module", None) or name.name).split(".")[0] for name in node.names}
        & {"time", "random", "secrets", "uuid", "socket", "subprocess", "threading"}
    ]
    none(found)


# files and names


def test_every_sql_file_is_used() -> None:
    """A file is used if Python names it, or names its folder beside `*.sql`."""
    python = "\n".join(text(path) for path in of(".py", within=PACKAGES))
    unused = [
        named(path)
        for path in of(".sql", within=PACKAGES)
        if path.name not in python
        and f'"{path.stem}"' not in python
        and not ("*.sql" in python and f'"{path.parent.name}"' in python)
    ]
    none(unused)


def test_files_have_one_topic() -> None:
    """A file that outgrows this has two."""
    lines = {path: text(path).count("\n") for path in of(".py", ".sql", ".typ", ".toml")}
    none(f"{named(path)}: {count} lines" for path, count in lines.items() if count >= MAX_LINES)


def test_names_say_what_is_inside() -> None:
    """No drawer for odds and ends, no managers."""
    none(named(path) for path in files() if _DRAWER.search(path.stem))
    classes = [node.name for path in of(".py") for node in nodes(path) if isinstance(node, ast.ClassDef)]
    none(name for name in classes if name.endswith(("Manager", "Helper", "Util", "Utils")))


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
    readable = {".py", ".sql", ".toml", ".md", ".typ", ".in", ""}
    found = [
        f"{named(path)}:{number}"
        for path in files()
        if path.suffix in readable and path.name != "LICENSE"
        for number, line in enumerate(text(path).splitlines(), 1)
        if later.search(line)
    ]
    none(found)


def test_no_test_is_skipped() -> None:
    found = [
        at(path, node, ast.unparse(node))
        for path in of(".py", within=("tests",))
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in {"skip", "skipif", "xfail", "importorskip", "skipTest"}
    ]
    none(found)


_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def test_the_public_parts_are_described() -> None:
    """Modules and classes always; functions unless they are one statement whose name says it all."""
    bare: list[str] = []
    for path in of(".py", within=(*PACKAGES, "fentan.py")):
        bare += [] if ast.get_docstring(tree(path)) else [f"{named(path)}: the module"]
        scopes: list[ast.Module | ast.ClassDef] = [tree(path)]
        while scopes:
            public = [
                node for node in scopes.pop().body if isinstance(node, _DEFINED) and node.name[0] != "_"
            ]
            scopes += [node for node in public if isinstance(node, ast.ClassDef)]
            bare += [
                at(path, node, node.name)
                for node in public
                if not ast.get_docstring(node) and (isinstance(node, ast.ClassDef) or len(node.body) > 1)
            ]
    none(bare)


# rules


@cache
def rules() -> dict[str, bool]:
    """Each id of docs/rules.md; False if it is planned."""
    rows = re.findall(r"^\| (R-[A-Z]+-\d+|F-\d\d) \| (.*)$", text(ROOT / "docs" / "rules.md"), re.MULTILINE)
    return {name: not what.startswith("*planned*") for name, what in rows}


def test_every_rule_id_is_listed() -> None:
    """docs/rules.md has all that code, tests and documents name."""
    none(
        f"{named(path)}: {name}"
        for path in of(".py", ".sql", ".toml", ".typ", ".md")
        for name in _ID.findall(text(path))
        if name not in rules()
    )


def test_every_rule_that_is_built_is_tested() -> None:
    """`grep -r R-MIN-3 tests/` finds what proves it."""
    tests = [path for path in of(".py", within=("tests",)) if path.name != Path(__file__).name]
    proven = {name for path in tests for name in _ID.findall(text(path))} | {"R-INV-4"}  # this file's own
    none(name for name, built in rules().items() if built and name not in proven)


# the outside


@pytest.mark.parametrize(
    "trace",
    [
        r"py" + r"pi\.org",
        r"python" + r"hosted",
        r"(?<!emit-)index" + r"-url",
        r"(?<!emit-)find" + r"-links",
        r"(?<![\w.])/wo" + r"rk/",
        r"(?<![\w.])/ro" + r"ot/",
        r"(?<![\w.])/ho" + r"me/",
        r"(?<![\w.])/tm" + r"p/",
    ],
)
def test_no_file_names_a_registry_or_somebodys_folder(trace: str) -> None:
    """A clone works anywhere: requirements are pinned by hash, paths are relative or given."""
    found = [
        f"{named(path)}:{number}: {line.strip()[:80]}"
        for path in files()
        if path.suffix not in {".parquet", ".pdf", ".png", ".ttf", ".otf", ".gz", ".zst"}
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if re.search(trace, line)
    ]
    none(found)


def test_every_requirement_is_pinned_by_hash() -> None:
    for path in of(".txt", within=("requirements",)):
        entries = re.split(r"\n(?=\S)", text(path).strip())
        pins = [entry for entry in entries if not entry.startswith("#")]
        assert pins
        none(pin for pin in pins if not re.match(r"[\w.-]+==\S+", pin) or "--hash=sha256:" not in pin)
