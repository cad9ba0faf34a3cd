"""Cuts a statement into pages: every block's height is known, so it is known where a page ends.

A table that does not fit goes on with its heading on the next page; a block that does not fit moves there.
Lengths are tenths of a point.
"""

from __future__ import annotations

from typing import Any

from reports.statement_tables import HEADS_HEIGHT, Table

PAGE_HEIGHT = 7290
"""What A4 leaves between the margins; statement_drawing.py sets them."""

_TITLE_HEIGHT, _NAME_HEIGHT, _NOTE_HEIGHT = 300, 260, 140
_LEAST_ROWS = 3  # of a table at the foot of a page, and of what follows on the next


class Book:
    """Pages of blocks. A block is a dict with its `kind`, which names how statement_drawing.py draws it."""

    def __init__(self) -> None:
        self.pages: list[list[dict[str, Any]]] = [[]]
        self._left = PAGE_HEIGHT

    def new_page(self) -> None:
        """Goes on at the top of a page; nothing happens if it is there already."""
        if self.pages[-1]:
            self.pages.append([])
            self._left = PAGE_HEIGHT

    def add(self, kind: str, height: int, **block: Any) -> None:
        """A block that is not divided."""
        if height > self._left:
            self.new_page()
        self.pages[-1].append({"kind": kind, "height": height, **block})
        self._left -= height

    def table(self, table: Table, followed_by: int = 0) -> None:
        """A table's title, then as many pages of rows as it needs; below the last stays room of this height."""
        opening = (_TITLE_HEIGHT if table.title else 0) + (_NOTE_HEIGHT if table.note else 0)
        heading = HEADS_HEIGHT + (_NAME_HEIGHT if table.name else 0)
        rows = sum(len(run) for run in table.runs)
        least = min(rows, _LEAST_ROWS) * table.row_height
        if followed_by and rows <= 2 * _LEAST_ROWS:  # too few to be divided
            least = rows * table.row_height + followed_by
        if self._left < opening + heading + least:
            self.new_page()
        if table.title:
            self.add("title", _TITLE_HEIGHT, text=table.title)
        if table.note:
            self.add("note", _NOTE_HEIGHT, text=table.note)
        self._rows(table, heading, followed_by)

    def _rows(self, table: Table, heading: int, followed_by: int) -> None:
        frame, continued = table.frame(), ""
        pending = [(run, 0) for run in reversed(table.runs)]
        while pending:
            room = (self._left - heading) // table.row_height
            rest = sum(len(run) - start for run, start in pending)
            if rest <= room and self._left < heading + rest * table.row_height + followed_by:
                room = rest - _LEAST_ROWS
            parts: list[dict[str, Any]] = []
            used = 0
            while pending and used < room:
                run, start = pending.pop()
                stop = min(len(run), start + room - used)
                if (
                    stop == len(run)
                    and pending
                    and pending[-1][0].style == "total"
                    and room - used == stop - start
                ):
                    stop -= 1  # a sum does not stand alone on its page
                if stop > start:
                    parts.append(run.part(start, stop))
                used += stop - start
                if stop < len(run):
                    pending.append((run, stop))
                    break
            if parts:
                height = heading + used * table.row_height
                self.add("rows", height, **frame, name=table.name, continued=continued, parts=parts)
                continued = table.continued
            if pending:
                self.new_page()
