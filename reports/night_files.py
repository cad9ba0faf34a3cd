"""What a night reads and writes beside the ledger: others' lists, the list of debtors, results; each whole or not at all."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from ledger.faults import BadRequest
from ledger.tables import write_table
from ledger.whole_files import write_whole
from rating.calendar import parse_month
from reports.ask import ask_own
from reports.explain_words import counted
from reports.reconcile_bank import reconcile_bank
from reports.reconcile_carrier import reconcile_carrier

_CARRIER = re.compile(r"carrier-(\d{4}-\d{2})\b.*\.csv", re.IGNORECASE)
_BANK = re.compile(r"bank\b.*\.csv", re.IGNORECASE)


def write_arrears(home: Path, as_of: datetime, folder: Path) -> str:
    """`arrears.csv`: who owes what since when; returns how many and how much."""
    rows = ask_own(home, "SELECT * FROM arrears ORDER BY balance, account", as_of)
    write_csv(folder / "arrears.csv", rows)
    owed = -sum(rows.column("balance").to_pylist())
    return (
        f"{counted(rows.num_rows, 'debtor')} with {owed:,} yuan: arrears.csv"
        if rows.num_rows
        else "nobody owes"
    )


def reconcile_lists(home: Path, lists: Path, as_of: datetime, folder: Path) -> Iterator[tuple[str, bool]]:
    """(what came of it, whether it agrees) for each `carrier-2026-10….csv` and `bank….csv` in the folder of lists.

    Differences are written as `differences-<name>` beside the report. A list that cannot be read does not agree.
    """
    for file in sorted(lists.iterdir()) if lists.is_dir() else []:
        try:
            if found := _CARRIER.fullmatch(file.name):
                carrier = reconcile_carrier(home, file, parse_month(found[1]), as_of)
                differences, pairs = carrier.differences, carrier.pairs
            elif _BANK.fullmatch(file.name):
                bank = reconcile_bank(home, file, as_of)
                differences, pairs = bank.differences, bank.agreed
            else:
                continue
        except (BadRequest, ValueError) as no:
            yield f"{file.name}: {no}", False
            continue
        told = folder / f"differences-{file.name}"
        if not differences.num_rows:
            told.unlink(missing_ok=True)  # of a list that was corrected since
            yield f"{file.name}: all {counted(pairs, 'pair')} agree", True
            continue
        write_csv(told, differences)
        yield f"{file.name}: {counted(differences.num_rows, 'difference')} in {told.name}", False


def write_csv(path: Path, rows: pa.Table) -> None:
    """As `--format csv` prints it."""
    text = io.StringIO()
    write_table(rows, "csv", Console(file=text, soft_wrap=True))
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """The file is there with all of the text, or as it was before; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
