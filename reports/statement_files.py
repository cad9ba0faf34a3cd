"""A statement's files: `<kind>-<id>.pdf`, `.csv` and `.json` in the month's folder, written once (R-ARR-4, F-14).

The JSON file comes last: where it is, the statement is issued, and none of its files is replaced. What is
printed in another language than Chinese has its code in the name: `customer-C1~en.pdf` (no id has a `~`).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ledger.whole_files import write_whole
from reports.statement import Statement
from reports.statement_csv import statement_csv
from reports.statement_json import statement_json
from reports.statement_pdf import statement_pdf

SUMS = "SHA256SUMS"
_NAME_BYTES = 120
_UNSAFE = re.compile(r"[^\w.\-]")


class IssuedDiffers(Exception):
    """A statement was issued with other figures; the message says what to do."""


def safe_name(kind: str, party_id: str) -> str:
    """`customer-C1`: a file name without its ending, whatever the id (F-26); at most 120 bytes.

    Letters and digits of any script, dots, dashes and underscores stay. An id that had to be changed or cut
    gets a part of its hash, so two ids never share a name.
    """
    shown = _UNSAFE.sub("_", party_id).replace("..", "__")
    whole = f"{kind}-{shown}"
    if shown == party_id and len(whole.encode()) <= _NAME_BYTES:
        return whole
    mark = "-" + hashlib.sha256(party_id.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return whole.encode()[: _NAME_BYTES - len(mark)].decode("utf-8", "ignore") + mark


def is_issued(folder: Path, kind: str, party_id: str, language: str = "zh") -> bool:
    """True if the statement is there, whole, in this language."""
    name = safe_name(kind, party_id)
    printed = _printed(name, language)
    return all((folder / file).exists() for file in (f"{name}.json", f"{printed}.pdf", f"{printed}.csv"))


def prepare(folder: Path, statement: Statement, language: str) -> list[tuple[Path, bytes]]:
    """The files that are still to be stored in the month's folder, the one that makes it issued last.

    Raises IssuedDiffers if it was issued with other figures. Files without their JSON were left by a run that
    was cut short, and are made anew.
    """
    name = safe_name(statement.kind, statement.head.party.party_id)
    figures = statement_json(statement)
    issued = folder / f"{name}.json"
    there = issued.exists()
    if there and issued.read_bytes() != figures:
        raise IssuedDiffers(
            f"{issued} holds other figures than the ledger gives now. An issued statement never changes: "
            "run `fentan verify`, or name another folder with --out."
        )
    printed = folder / _printed(name, language)
    pdf, table = printed.with_name(f"{printed.name}.pdf"), printed.with_name(f"{printed.name}.csv")
    wanted: list[tuple[Path, bytes]] = []
    if not (there and pdf.exists()):
        wanted.append((pdf, statement_pdf(statement, language)))
    if not (there and table.exists()):
        wanted.append((table, statement_csv(statement, language)))
    if not there:
        wanted.append((issued, figures))
    return wanted


def store(files: list[tuple[Path, bytes]]) -> None:
    """Writes the files one after the other, each whole or not at all, also after a power loss."""
    for path, content in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def write_sums(folder: Path) -> None:
    """SHA256SUMS of the issued statements in the folder, as `sha256sum --check` reads it.

    Statements never change, so the sums that are there stay and only new files are read.
    """
    sums = folder / SUMS
    known: dict[str, str] = {}
    if sums.exists():
        known = {name: line for line in sums.read_text(encoding="utf-8").splitlines() for name in [line[66:]]}
    issued = {path.stem for path in folder.glob("*.json")}
    if not issued:
        return
    files = sorted(path.name for path in folder.iterdir() if _stem(path.name) in issued)
    lines = [known.get(name) or f"{_sha256(folder / name)}  {name}" for name in files]
    write_whole(sums, "".join(f"{line}\n" for line in lines).encode())


def _printed(name: str, language: str) -> str:
    return name if language == "zh" else f"{name}~{language}"


def _stem(name: str) -> str | None:
    """`customer-C1` of `customer-C1.pdf` and `customer-C1~en.pdf`; None for a draft and for what is no statement."""
    found = re.fullmatch(r"((?:customer|provider)-.+?)(?:~\w+)?\.(?:pdf|csv|json)", name, re.DOTALL)
    return found and found[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
