"""What a file's fields mean: which become which columns of a call, how times are written, which rows bill.

Every format is a mapping: the shipped ones are `formats/*.toml`, and a user's own MAPPING.toml is the same thing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from rating.calendar import SHANGHAI
from streams import instants
from streams.instants import Times

TIMES = ("start_at", "answer_at", "end_at")
TEXTS = (
    "call_id",
    "service_number",
    "caller_number",
    "caller_area",
    "answering_phone",
    "answer_rule",
    "recording_ref",
)
COLUMNS = (*TEXTS[:4], *TIMES, "duration_s", *TEXTS[4:])
"""The columns of a call that a file may fill, in the order in which their faults are looked for."""

REQUIRED = ("call_id", "service_number", "start_at", "end_at")
SOFT = ("answering_phone", "answer_rule", "recording_ref")
"""Columns that rating does not need: bytes in them that are not UTF-8 do not cost the call."""

CALL_ID_MAX = 64
RECORD_MAX_BYTES = 1 << 20

UNITS = ("seconds", "fractions", "milliseconds", "clock")


class FormatError(ValueError):
    """A file or a mapping that cannot be read at all: says which, where, why and what to do."""


@dataclass(frozen=True)
class Source:
    """Where a column comes from: one field, several joined with `/`, a part of one, or a constant."""

    fields: tuple[str, ...] = ()
    match: str | None = None
    constant: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written. columns: their names by position, if it has no header or may have none."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    encoding: str = "utf-8"
    header: str = "yes"
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class BillWhen:
    """Rows whose field has one of these values were answered, if they have billed seconds."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Mapping:
    """A format. kind: csv, jsonl or parquet; strict: JSON types must be those of the contract.

    merge: rows with one call_id are one record, if no more than `merge_window` bytes lie between their begins
    """

    name: str
    kind: str
    call: dict[str, Source]
    times: Times = field(default_factory=Times)
    unit: str = "seconds"
    layout: Layout = field(default_factory=Layout)
    bill_when: BillWhen | None = None
    empty: tuple[str, ...] = ()
    merge: bool = False
    merge_window: int = 4 << 20
    strict: bool = False
    record_max_bytes: int = RECORD_MAX_BYTES

    def fields(self, columns: Iterable[str] = COLUMNS) -> list[str]:
        """The file's fields that these columns, or the rows that bill, depend on."""
        found = [name for column in columns if column in self.call for name in self.call[column].fields]
        return list(dict.fromkeys(found + ([self.bill_when.field] if self.bill_when else [])))

    @property
    def soft(self) -> frozenset[str]:
        """Fields that only columns use that rating does not need."""
        return frozenset(self.fields()) - frozenset(self.fields(c for c in COLUMNS if c not in SOFT))

    @property
    def mapped(self) -> frozenset[str]:
        """Fields that a column holds as they are, so that `extra` need not keep them."""
        return frozenset(s.fields[0] for s in self.call.values() if len(s.fields) == 1 and s.match is None)


def contract(kind: str) -> Mapping:
    """The contract's own names and types."""
    return Mapping(kind, kind, {column: Source((column,)) for column in COLUMNS}, strict=kind == "jsonl")


def read_mapping(path: Path) -> Mapping:
    """A mapping from its TOML file. Raises FormatError with the file, the key, the reason and what to do."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FormatError(
            f"The mapping {path} cannot be read: {error.strerror}; check its name and path."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as TOML: {error}; mend the file.") from None
    return _Reader(str(path), table).mapping(path.stem)


class _Reader:
    """Reads the tables of one mapping file, and refuses what it does not know."""

    def __init__(self, file: str, table: dict[str, Any]) -> None:
        self._file = file
        self._top = table

    def mapping(self, name: str) -> Mapping:
        top = self._top
        self._known(
            "",
            top,
            (
                "format",
                "merge",
                "record_max_bytes",
                "empty",
                "csv",
                "call",
                "constants",
                "time",
                "duration",
                "bill_when",
            ),
        )
        kind = self._choice("format", top.get("format"), ("csv", "jsonl"))
        if kind == "jsonl" and "csv" in top:
            raise self._wrong("csv", "is of no use for JSON Lines", "leave the table out")
        layout = self._layout(self._table("csv")) if kind == "csv" else Layout()
        call = self._call(self._table("call"), self._table("constants"), layout)
        longest = top.get("record_max_bytes", RECORD_MAX_BYTES)
        if not _is_whole(longest) or not 1024 <= longest <= 64 << 20:
            raise self._wrong("record_max_bytes", f"is {longest!r}", "give 1024 to 67108864")
        return Mapping(
            name=name,
            kind=kind,
            call=call,
            times=self._times(self._table("time")),
            unit=self._unit(self._table("duration")),
            layout=layout,
            bill_when=self._bill_when(layout),
            empty=self._texts("empty", top.get("empty", [])),
            merge=self._flag("merge", top.get("merge", False)),
            record_max_bytes=longest,
        )

    def _call(self, call: dict[str, Any], constants: dict[str, Any], layout: Layout) -> dict[str, Source]:
        self._known("call", call, COLUMNS)
        self._known("constants", constants, TEXTS)
        sources = {column: self._source(f"call.{column}", value, layout) for column, value in call.items()}
        for column, value in constants.items():
            if column in sources:
                raise self._wrong(f"constants.{column}", "stands in [call] too", "leave one of the two out")
            sources[column] = Source(constant=self._text(f"constants.{column}", value))
        missing = [column for column in REQUIRED[:3] if column not in sources]
        if missing:
            raise self._wrong(f"call.{missing[0]}", "is required", "say which field holds it")
        if "end_at" not in sources and "duration_s" not in sources:
            raise self._wrong(
                "call.end_at", "is required, unless duration_s is there", "say which field holds it"
            )
        return sources

    def _source(self, key: str, value: Any, layout: Layout) -> Source:
        match = None
        if isinstance(value, dict):
            self._known(key, value, ("field", "fields", "match"))
            if "match" in value:
                match = self._expression(f"{key}.match", value["match"])
            value = value.get("field", value.get("fields"))
        fields = (value,) if isinstance(value, str) else self._texts(key, value)
        if not fields or not all(fields):
            raise self._wrong(key, "names no field", 'write a name, or { fields = ["a", "b"] }')
        for name in fields:
            self._check_field(key, name, layout)
        if match and len(fields) > 1:
            raise self._wrong(f"{key}.match", "needs one field", "leave the others out")
        return Source(fields, match)

    def _check_field(self, key: str, name: str, layout: Layout) -> None:
        if layout.columns and name not in layout.columns:
            raise self._wrong(key, f'"{name}" is not among csv.columns', "correct the name or the columns")

    def _expression(self, key: str, value: Any) -> str:
        pattern = self._text(key, value)
        try:
            groups = re.compile(pattern)
            if groups.groups == 1 and "value" in groups.groupindex:
                pc.extract_regex(pa.array([""]), pattern)
                return pattern
        except (re.error, pa.ArrowInvalid) as error:
            raise self._wrong(key, f"is no expression: {error}", "correct it") from None
        raise self._wrong(key, "needs one group named value", 'write it like "/(?P<value>[0-9]+)-"')

    def _layout(self, table: dict[str, Any]) -> Layout:
        self._known("csv", table, ("delimiter", "quote", "encoding", "header", "columns"))
        header = self._choice("csv.header", table.get("header", "yes"), ("yes", "no", "maybe"))
        columns = self._texts("csv.columns", table.get("columns", []))
        if header != "yes" and not columns:
            raise self._wrong(
                "csv.columns", f'is required with header = "{header}"', "list the columns in their order"
            )
        if len(set(columns)) < len(columns):
            raise self._wrong("csv.columns", "names a column twice", "give each its own name")
        encoding = self._choice(
            "csv.encoding", str(table.get("encoding", "utf-8")).lower(), tuple(_ENCODINGS)
        )
        delimiter, quote = (
            self._mark(f"csv.{key}", table.get(key, usual))
            for key, usual in (("delimiter", ","), ("quote", '"'))
        )
        if delimiter == quote:
            raise self._wrong("csv.delimiter", "is the quote too", "give them different characters")
        if _ENCODINGS[encoding] == "gb18030" and max(delimiter, quote) >= b"@":
            raise self._wrong(
                "csv.delimiter",
                f"may be half of a character in {encoding}",
                "use a comma, a semicolon or a tab",
            )
        return Layout(delimiter, quote, _ENCODINGS[encoding], header, columns)

    def _mark(self, key: str, value: Any) -> bytes:
        mark = self._text(key, value)
        if len(mark) != 1 or not mark.isascii() or mark.isalnum() or mark in "\r\n\0 -:.+":
            raise self._wrong(
                key, f"is {mark!r}", "give one character, such as a comma, a semicolon, a tab or a bar"
            )
        return mark.encode()

    def _times(self, table: dict[str, Any]) -> Times:
        self._known("time", table, ("zone", "patterns"))
        patterns = self._texts("time.patterns", table.get("patterns", [instants.RFC_3339]))
        if not patterns:
            raise self._wrong("time.patterns", "is empty", "leave it out, or list at least one")
        for pattern in patterns:
            try:
                instants.check_pattern(pattern)
            except instants.PatternError as error:
                raise self._wrong("time.patterns", str(error), "correct the pattern") from None
        return Times(patterns, self._zone(self._text("time.zone", table.get("zone", "Asia/Shanghai"))))

    def _zone(self, name: str) -> tzinfo:
        if name == "Asia/Shanghai":
            return SHANGHAI
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self._wrong(
                "time.zone", f'"{name}" is no time zone', "use a name such as Asia/Shanghai or UTC"
            ) from None

    def _unit(self, table: dict[str, Any]) -> str:
        self._known("duration", table, ("unit",))
        return self._choice("duration.unit", table.get("unit", "seconds"), UNITS)

    def _bill_when(self, layout: Layout) -> BillWhen | None:
        table = self._table("bill_when")
        if not table:
            return None
        self._known("bill_when", table, ("field", "in"))
        name = self._text("bill_when.field", table.get("field"))
        self._check_field("bill_when.field", name, layout)
        values = self._texts("bill_when.in", table.get("in"))
        if not values:
            raise self._wrong("bill_when.in", "is empty", "list the values of rows that were answered")
        return BillWhen(name, values)

    def _table(self, key: str) -> dict[str, Any]:
        value = self._top.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "is not a table", f"write [{key}] and its keys below it")
        return value

    def _known(self, key: str, table: dict[str, Any], known: tuple[str, ...]) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(f"{key}.{name}".lstrip("."), "is unknown", f"use one of {', '.join(known)}")

    def _choice(self, key: str, value: Any, known: tuple[str, ...]) -> str:
        if value not in known:
            raise self._wrong(
                key, "is missing" if value is None else f"is {value!r}", f"use one of {', '.join(known)}"
            )
        return str(value)

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._wrong(key, "is missing" if value is None else f"is {value!r}", "give text in quotes")
        return value

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(key, "is missing" if value is None else f"is {value!r}", "give a list of texts")
        return tuple(value)

    def _flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._wrong(key, f"is {value!r}", "give true or false")
        return value

    def _wrong(self, key: str, reason: str, remedy: str) -> FormatError:
        return FormatError(f"{self._file}: {key} {reason}; {remedy}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_ENCODINGS = {
    "utf-8": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "latin-1": "latin-1",
}
