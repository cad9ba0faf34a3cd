"""README.md and docs/ tell the truth: their examples run and print what stands there, their tables are the code's.

`tests/console_blocks.py` says how examples are written; `make docs` writes generated parts and answers anew.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import fentan
from ledger.query import VIEWS
from rating.business import KINDS
from rating.price_book import default_text
from rating.reasons import Reason
from tests.console_blocks import Shell, blocks, make_town, matches, run_page
from tests.generated_docs import PAGES, ROOT, filled

MARKDOWN = re.compile(r"```.*?```", re.DOTALL)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_town(tmp_path_factory.mktemp("town"))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_examples_print_what_the_page_shows(
    path: Path, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page from top to bottom in a clean folder, as a new user would. `make docs` shows the answers anew."""
    shutil.copytree(town, tmp_path / town.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FENTAN_HOME", raising=False)
    wrong = [fault for _, _, fault in run_page(path.read_text(encoding="utf-8"), Shell(tmp_path)) if fault]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_generated_parts_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == filled(text), f"{named(path)} does not say what the code says: run `make docs`"


def test_the_readme_shows_what_a_demo_prints(town: Path) -> None:
    """The figures are those of 300,000 calls; every line must be one that the small town prints, figures aside."""

    def shape(line: str) -> str:
        return re.sub(r"[-\d.,:]+|\s+", " ", line).strip()

    printed = {shape(line) for line in (town.parent / "demo.txt").read_text(encoding="utf-8").splitlines()}
    texts = [block.text.strip() for block in blocks(page("README.md"))]
    shown = texts[texts.index("make demo") + 1].splitlines()
    strange = [
        line for line in shown if line.strip() != "…" and "…" not in line and shape(line) not in printed
    ]
    assert not strange, f"a demo prints no such line any more: {strange}"


def test_every_kind_of_command_has_its_example_and_all_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples of docs/commands.md, from top to bottom, are a number's life."""
    text = page("docs/commands.md")
    lines = [
        line
        for block in blocks(text)
        if (block.language, block.name) == ("json", "")
        for line in block.text.splitlines()
    ]
    assert {json.loads(line)["kind"] for line in lines} == set(KINDS)
    assert all(f"### {kind}\n" in text for kind in KINDS)
    monkeypatch.chdir(tmp_path)
    Path("life.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run = CliRunner().invoke
    assert run(fentan.main, ["init"]).exit_code == 0
    result = run(fentan.main, ["submit", "life.jsonl"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_price_books_page_explains_every_key() -> None:
    text = page("docs/price-book.md")
    missing = {
        key
        for key in keys_of(tomllib.loads(default_text()))
        if f"`{key}`" not in text and f"`[{key}]`" not in text
    }
    assert not missing


def keys_of(table: Any) -> Iterator[str]:
    """The keys of a price book; area codes are values."""
    if isinstance(table, list):
        for entry in table:
            yield from keys_of(entry)
    elif isinstance(table, dict):
        for key, value in table.items():
            if not key.isdigit():
                yield key
                yield from keys_of(value)


def test_every_view_is_on_the_page_of_views() -> None:
    text = page("docs/sql.md")
    assert all(f"### {view}\n" in text for view in VIEWS)


def test_every_state_is_on_the_page_of_states() -> None:
    text = page("docs/numbers.md")
    comment = re.search(r"COMMENT ON COLUMN numbers.state IS '([^']*)", page("ledger/views/numbers.sql"))
    assert comment is not None
    states = set(re.findall(r"[a-z]+(?:_[a-z]+)*", comment[1])) - {"or"}
    assert len(states) == 9
    assert all(f"| `{state}` |" in text for state in states)


def test_codes_named_anywhere_are_reasons() -> None:
    """What is written like a reason, with an underscore and in backticks, is one of the closed list."""
    others = {
        "FENTAN_DEBUG",
        "FENTAN_HOME",
        "FENTAN_KAFKA",
        "FENTAN_KAFKA_CONFIG",
        "SASL_PLAINTEXT",
        "SASL_SSL",
    }
    for path in PAGES:
        codes = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", path.read_text(encoding="utf-8")))
        assert codes <= set(Reason) | others, named(path)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links, and the headings that they name."""
    text = MARKDOWN.sub("", path.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http"):
            continue
        target, _, heading = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), f"{named(path)}: {link}"
        if heading:
            found = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {anchor(title) for title in found}, f"{named(path)}: {link}"


def anchor(title: str) -> str:
    """The name that a heading has in a link."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a  b"], "a  b  \n", True),
        (["a … c"], "a b c\n", True),
        (["a", "…", "c"], "a\nb\nb\nc\n", True),
        (["a", "…"], "a\n", True),
        ([], "", True),
        (["a"], "a\nb\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_an_ellipsis_stands_for_anything(shown: list[str], printed: str, same: bool) -> None:
    assert matches(shown, printed) is same
