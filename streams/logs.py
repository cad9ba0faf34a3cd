"""A worker's log: one JSON object a line, phone numbers masked (F-27)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from rating.masking import masked

_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_QUIET = ("aiokafka", "kafka")
"""Clients that warn of each attempt: a broker or coordinator that is not there yet is no error, and if it does not come
they raise one, of which we tell in a sentence."""


class JsonLine(logging.Formatter):
    """A record as one line: when, how bad, who, what, and whatever `extra` was given."""

    def __init__(self, *, traces: bool) -> None:
        """`traces`: where in the program an error was raised is told, too."""
        super().__init__()
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        """The line, every text in it masked."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        line |= {name: _shown(value) for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = masked(f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}")
            if self._traces:
                line["trace"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _shown(value: Any) -> Any:
    """Numbers are counts and offsets; everything else is text, and masked."""
    if isinstance(value, dict):
        return {str(name): _shown(inner) for name, inner in value.items()}
    return value if value is None or isinstance(value, int) else masked(str(value))


def set_up(level: str) -> None:
    """All that this process logs goes to stderr in this form; of libraries only what is a warning."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(traces=level == "debug"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("fentan").setLevel(level.upper())
    for client in _QUIET:
        logging.getLogger(client).setLevel(logging.CRITICAL)
