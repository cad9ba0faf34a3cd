"""What calls cost more or less by what is known now: a posting for each, as columns (R-CALL-8, R-INV-3, F-15)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating import accounts
from rating.accounts import REVENUE_CALLS
from rating.columns import dictionary_array, int64s, one_chunk, to_list
from rating.money import to_decimal_array
from rating.posting_columns import POSTINGS
from rating.state import State

Key = tuple[str, str, str]
"""(service_number, customer_id, month)"""

REPRICED = pa.schema(
    [
        ("call_id", pa.string()),
        ("service_number", pa.string()),
        ("month", pa.string()),
        ("customer_id", pa.string()),
        ("provider_id", pa.string()),
        ("charged_hao", pa.int64()),
        ("payer_id", pa.string()),
        ("payer_provider_id", pa.string()),
        ("fee_hao", pa.int64()),
    ]
)
"""A row a call: what `customer_id` is charged so far, and what `payer_id` pays by what is known now.

Each with the provider that the number was with. `payer_id` null: nobody pays, the fee is 0.
"""


class Differences(NamedTuple):
    """The postings (POSTINGS) for the calls whose charge differs, and by how much each month's calls cost more or less."""

    postings: pa.Table
    moved_hao: dict[Key, int]


def differences(state: State, calls: pa.Table) -> Differences:
    """REPRICED -> one posting for the same payer; for another one what takes the charge back, and the new charge."""
    n = calls.num_rows
    column = {field.name: one_chunk(calls.column(field.name), field.type) for field in REPRICED}
    charged, fee = int64s(column["charged_hao"]), int64s(column["fee_hao"])
    same = pc.fill_null(pc.equal(column["payer_id"], column["customer_id"]), fill_value=False)
    same = same.to_numpy(zero_copy_only=False)
    # two places a call: what its payer so far pays more or less, then what another payer pays
    delta = np.empty(2 * n, dtype=np.int64)
    delta[0::2], delta[1::2] = np.where(same, fee - charged, -charged), np.where(same, 0, fee)
    places = np.flatnonzero(delta)
    delta, call, others = delta[places], pa.array(places >> 1), (places & 1).astype(np.bool_)

    months, numbers = (column[name].take(call).dictionary_encode() for name in ("month", "service_number"))
    who, providers = (
        _of_either(others, column[ours].take(call), column[theirs].take(call))
        for ours, theirs in (("customer_id", "payer_id"), ("provider_id", "payer_provider_id"))
    )
    customers = who.dictionary_encode()
    owners, owner = _pairs(customers, months)
    usage = pa.array([accounts.usage(one) for one, _ in owners] + [REVENUE_CALLS])
    platform = np.int32(len(owners))
    more = delta > 0
    columns = {
        "kind": _words(["rerating"], np.zeros(len(delta), dtype=np.int32)),
        "month": _words([state.billed_month(month) for _, month in owners], owner),
        "debit": dictionary_array(np.where(more, owner, platform), usage),
        "credit": dictionary_array(np.where(more, platform, owner), usage),
        "amount": to_decimal_array(np.abs(delta)),
        "service_number": numbers,
        "customer_id": customers,
        "provider_id": providers,
        "reverses": pc.binary_join_element_wise("call/", column["call_id"].take(call), ""),
        "reason": _words([f"call of {month}" for _, month in owners], owner),
    }
    postings = pa.table([columns[field.name].cast(field.type) for field in POSTINGS], schema=POSTINGS)
    return Differences(postings, _sums(numbers, customers, months, delta))


def _of_either(others: np.ndarray, ours: pa.Array, theirs: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(others), theirs, ours) if others.any() else ours


def _words(words: list[str], codes: np.ndarray) -> pa.DictionaryArray:
    return dictionary_array(codes, pa.array(words, pa.string()))


def _pairs(first: pa.DictionaryArray, second: pa.DictionaryArray) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The pairs of words that occur, and the place in them of each row's (int32)."""
    firsts, seconds = first.dictionary.to_pylist(), second.dictionary.to_pylist()
    width = max(1, len(seconds))
    codes = first.indices.to_numpy().astype(np.int64) * width + second.indices.to_numpy()
    found, places = np.unique(codes, return_inverse=True)
    return [(firsts[code // width], seconds[code % width]) for code in found.tolist()], places.astype(
        np.int32
    )


def _sums(
    numbers: pa.DictionaryArray, customers: pa.DictionaryArray, months: pa.DictionaryArray, delta: np.ndarray
) -> dict[Key, int]:
    """(number, customer, month) -> hao, where it is not zero."""
    names = ["number", "customer", "month"]
    rows = pa.table([numbers, customers, months, pa.array(delta)], names=[*names, "hao"])
    sums = rows.group_by(names).aggregate([("hao", "sum")])
    keys = zip(*(to_list(sums.column(name).cast(pa.string())) for name in names), strict=True)
    return {key: hao for key, hao in zip(keys, sums.column("hao_sum").to_pylist(), strict=True) if hao}
