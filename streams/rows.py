"""Records between reading and typing: text by source field, as it stood in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rating.reasons import Reason
from streams.spans import Ints

RAW_MAX_BYTES = 64 << 10
"""How much of a record that is too long is kept as its raw bytes."""

_SHOWN = 60

Fault = tuple[Reason, str]


@dataclass
class Rows:
    """n records in file order. Text is UTF-8 and has no NUL where rating needs it; the rest is a fault.

    text: a string array of n for each source field that the mapping uses; null where absent, null or empty
    extra: string array, the fields that nothing maps, as one JSON object; null if there are none
    raw: binary array, the record's own bytes without its line end
    at: int64 file offset of each record
    faults: what is wrong with a row, by its place here; a row has one fault at most, the first found
    """

    text: dict[str, Any]
    extra: Any
    raw: Any
    at: Ints
    faults: dict[int, Fault] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)


def unreadable(sentence: str) -> Fault:
    return (Reason.UNREADABLE, sentence)


def too_long(length: int, limit: int) -> Fault:
    return unreadable(f"The record is {length:,} bytes long; at most {limit:,} are read.")


def shown(value: object) -> str:
    """A value as a sentence may quote it: printable, and short."""
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"
    return '"' + "".join(c if c.isprintable() else "\ufffd" for c in text) + '"'
