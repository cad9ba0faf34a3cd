"""The two tables, column by column. `seq` is a row's place in its table, dense from 0.

Money is decimal128(18, 4), instants are UTC microseconds, months are text. The lists whose names begin
with `p_` are the postings that an event caused, those with `c_` the changes to the catalogue: parallel
lists, one element an entry, which DuckDB unnests side by side three times faster than structs.
"""

from __future__ import annotations

import pyarrow as pa

from rating.money import MONEY
from rating.posting_columns import POSTINGS
from rating.records import INSTANT

CALLS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # rated, duplicate, rejected
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("call_id", pa.string()),
        pa.field("service_number", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("provider_id", pa.string()),
        pa.field("caller_number", pa.string()),
        pa.field("caller_area", pa.string()),
        pa.field("start_at", INSTANT),
        pa.field("answer_at", INSTANT),
        pa.field("end_at", INSTANT),
        pa.field("month", pa.string()),
        pa.field("duration_s", pa.int64()),
        pa.field("billed_s", pa.int64()),
        pa.field("rate", MONEY),
        pa.field("owner_fee", MONEY),
        pa.field("caller_estimate", MONEY),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("answering_phone", pa.string()),
        pa.field("answer_rule", pa.string()),
        pa.field("recording_ref", pa.string()),
        pa.field("extra", pa.string()),
        pa.field("raw", pa.binary()),  # only where the row was not rated
        pa.field("source", pa.string()),
        pa.field("source_pos", pa.int64()),
        pa.field("received_at", INSTANT),
        pa.field("retries", pa.int64()),  # the seq of the reject that this row tries again
        pa.field("duplicate_of", pa.int64()),  # the seq of the row that was charged
        pa.field("events_seq", pa.int64(), nullable=False),
    ]
)

_POSTING = [(f"p_{field.name}", field.type) for field in POSTINGS]

_CHANGE = [
    ("c_number", pa.string()),
    ("c_facet", pa.string()),
    ("c_from_at", INSTANT),
    ("c_until_at", INSTANT),
    ("c_value", pa.string()),
    ("c_customer_id", pa.string()),
    ("c_provider_id", pa.string()),
    ("c_plan_id", pa.string()),
    ("c_rate", MONEY),
    ("c_minimum", MONEY),
    ("c_increment_s", pa.int64()),
]

EVENTS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("command_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("outcome", pa.string(), nullable=False),  # accepted, duplicate, refused, rejected
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("at", INSTANT),
        pa.field("received_at", INSTANT),
        pa.field("payload", pa.string()),  # the command as JSON, without its id, time and kind
        pa.field("effect", pa.string()),  # what was decided, as JSON
        pa.field("raw", pa.binary()),  # only where the row was not accepted
        pa.field("source", pa.string()),
        pa.field("source_pos", pa.int64()),
        pa.field("calls_seq", pa.int64(), nullable=False),
        *(pa.field(name, pa.list_(kind)) for name, kind in _POSTING),
        *(pa.field(name, pa.list_(kind)) for name, kind in _CHANGE),
    ]
)

POSTING_COLUMNS = [name for name, _ in _POSTING]
CHANGE_COLUMNS = [name for name, _ in _CHANGE]
