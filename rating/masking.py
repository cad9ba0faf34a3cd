"""Phone numbers made unrecognisable for logs, alerts and screens: `138****5678` (F-27).

Service numbers (400, 800, 95) stay: they are what is billed, and public. What statements, `fentan call` and
finance's SQL show is masked only where somebody asked for it (`--mask`).
"""

from __future__ import annotations

import re

_HEAD, _TAIL = 3, 4
_COUNTRY = r"(?:(?:[+＋]|[0０]{2})?[8８][6６][- ]?)?"
_AREA = r"[0０](?:[1１]\d|[2２]\d|\d{3})"
_PHONE = re.compile(
    rf"(?<!\d){_COUNTRY}[0０]?[1１](?![0-2０-２])\d{{2}}(?:[- ]?\d){{8}}(?!\d)"  # a mobile
    rf"|(?<!\d){_COUNTRY}{_AREA}[- ]?\d{{7,8}}(?!\d)"  # a fixed line
    r"|(?:[+＋]|(?<!\d)[0０]{2})[1-9１-９]\d{0,2}(?:[- ]?\d){6,12}(?!\d)"  # abroad
)
_SERVICE = re.compile(r"[48]00\d{7}|95\d{3,4}")


def masked(text: str) -> str:
    """The text with every phone number in it masked, however it is spelt."""
    return _PHONE.sub(lambda found: _starred(found[0]), text)


def masked_number(number: str | None) -> str | None:
    """A value that is a phone number, or should be one: masked whatever it looks like; null if withheld."""
    if number is None or _SERVICE.fullmatch(number):
        return number
    return _starred(number)


def _starred(number: str) -> str:
    """The first three and the last four characters; of a short one only the last two."""
    if len(number) <= _HEAD + _TAIL:
        return "****" + number[-2:] if len(number) > _TAIL else "****"
    return f"{number[:_HEAD]}****{number[-_TAIL:]}"
