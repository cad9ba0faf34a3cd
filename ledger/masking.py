"""Phone numbers hidden from those who may not see them (F-27), where the views read the stored rows.

What stands above, every view and every question, sees masked values only, spelt as `rating.masking` does: 138****5678.
Service numbers are public and stay. Bytes as they came in are left out.
"""

from __future__ import annotations

MACROS = r"""
CREATE OR REPLACE MACRO masked_phone(number) AS
    CASE WHEN number IS NULL OR regexp_full_match(number, '[48]00[0-9]{7}|95[0-9]{3,4}') THEN number
         WHEN length(number) <= 4 THEN '****'
         WHEN length(number) <= 7 THEN '****' || right(number, 2)
         ELSE left(number, 3) || '****' || right(number, 4) END;
CREATE OR REPLACE MACRO masked_text(said) AS
    regexp_replace(
        regexp_replace(
            regexp_replace(said, '(^|[^0-9])((?:(?:\+|00)?86)?[- ]?0?1[3-9][0-9])[- ]?[0-9]{4}[- ]?([0-9]{4})', '\1\2****\3', 'g'),
            '(^|[^0-9])((?:(?:\+|00)?86)?[- ]?0[1-9][0-9])[0-9]?[- ]?[0-9]{3,4}[- ]?([0-9]{4})', '\1\2****\3', 'g'
        ),
        '(^|[^0-9])((?:\+|00)[1-9][0-9]?)[0-9]?[- ]?[0-9]{2,8}([0-9]{4})', '\1\2****\3', 'g'
    );
"""
"""`masked_phone` hides a value that is a number, `masked_text` the numbers within a text."""

_READ_BY_VIEWS = (
    "adjust_minimum", "adopt_price_book", "alert", "close_customer", "close_month", "register_customer",
    "register_provider", "renew_contract", "sign_contract",
)  # fmt: skip
"""Kinds whose `effect` has ids and amounts only: nothing of it is somebody's own words."""

_MASKED = {
    "calls_rows": {
        "caller_number": "masked_phone(caller_number)",
        "answering_phone": "masked_phone(answering_phone)",
        "recording_ref": "masked_text(recording_ref)",
        "extra": "masked_text(extra)",
        "detail": "masked_text(detail)",
        "raw": "CAST(NULL AS BLOB)",
    },
    "events_rows": {
        "payload": "masked_text(payload)",
        "effect": f"CASE WHEN kind IN {_READ_BY_VIEWS} THEN effect ELSE masked_text(effect) END",
        "detail": "masked_text(detail)",
        "p_reason": "list_transform(p_reason, lambda said: masked_text(said))",
        "raw": "CAST(NULL AS BLOB)",
    },
}


def masked(view: str, column: str) -> str:
    """The SQL expression that shows a column of the stored rows `view` without phone numbers."""
    return _MASKED[view].get(column, f'"{column}"')
