"""The call record as every decoder delivers it and the kernel takes it: one Arrow schema, no rule."""

from __future__ import annotations

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")

RECORD = pa.schema(
    [
        pa.field("call_id", pa.string()),
        pa.field("service_number", pa.string()),
        pa.field("caller_number", pa.string()),
        pa.field("caller_area", pa.string()),
        pa.field("start_at", INSTANT),
        pa.field("answer_at", INSTANT),
        pa.field("end_at", INSTANT),
        pa.field("duration_s", pa.int64()),
        pa.field("answering_phone", pa.string()),
        pa.field("answer_rule", pa.string()),
        pa.field("recording_ref", pa.string()),
        # JSON object text of the fields that rating does not know; null if there were none
        pa.field("extra", pa.string()),
        # a Reason that the decoder found, and the sentence that names the value; null if it could be read
        pa.field("fault", pa.string()),
        pa.field("fault_detail", pa.string()),
        # the record's own bytes: kept with a reject, dropped with a rated call
        pa.field("raw", pa.binary()),
        # where the record starts: a byte offset, a row number (Parquet) or a Kafka offset
        pa.field("source_pos", pa.int64()),
    ]
)
