"""Postings as columns: a re-rating has one or two for each of a million calls, between few accounts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating import accounts
from rating.accounts import Event, Posting
from rating.columns import to_list
from rating.money import MONEY, from_decimal_array, to_decimal_array

POSTINGS = pa.schema(
    [
        ("kind", pa.string()),
        ("month", pa.string()),
        ("debit", pa.string()),
        ("credit", pa.string()),
        ("amount", MONEY),
        ("service_number", pa.string()),
        ("customer_id", pa.string()),
        ("provider_id", pa.string()),
        ("reverses", pa.string()),
        ("reason", pa.string()),
    ]
)
"""The fields of Posting, in their order."""


def as_columns(postings: Sequence[Posting]) -> pa.Table:
    """Postings -> POSTINGS."""
    fields = zip(*postings, strict=True) if postings else ([] for _ in POSTINGS)
    columns = [
        to_decimal_array(np.array(values, dtype=np.int64)) if kind == MONEY else pa.array(values, kind)
        for values, kind in zip(fields, POSTINGS.types, strict=True)
    ]
    return pa.table(columns, schema=POSTINGS)


def as_postings(columns: pa.Table) -> list[Posting]:
    """POSTINGS -> postings."""
    return [Posting(*values) for values in zip(*map(to_list, columns.columns), strict=True)]


def postings_of(event: Event) -> list[Posting]:
    """All of an event's postings, in the order of its row."""
    return [*([] if event.of_calls is None else as_postings(event.of_calls)), *event.postings]


def moved_hao(columns: pa.Table) -> dict[tuple[str, str], int]:
    """(account, month billed to) -> hao that the postings together bring to the account."""
    moved: dict[tuple[str, str], int] = {}
    for account, sign in (("debit", -1), ("credit", 1)):
        sums = columns.group_by([account, "month"]).aggregate([("amount", "sum")])
        amounts = (sign * from_decimal_array(sums.column("amount_sum"))).tolist()
        for name, month, hao in zip(
            to_list(sums.column(account)), to_list(sums.column("month")), amounts, strict=True
        ):
            moved[name, month] = moved.get((name, month), 0) + hao
    return moved


def payers(columns: pa.Table) -> list[str]:
    """The customers' accounts that the postings touch, each once, in the order in which they come."""
    return [accounts.customer(one) for one in pc.unique(columns.column("customer_id")).to_pylist()]
