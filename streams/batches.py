"""Batches of call records from Kafka, and their commit: each record exactly once, whoever else writes (F-16, F-19).

The rows of a batch and the next offset of every partition in it are one commit, made only if nobody committed
since the ledger was looked at. So what a stale writer read is found out before it is written twice: after each
look, records that the ledger holds by now are dropped from the batch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ledger.charge import commit_rated, rated_rows
from ledger.home import Home
from ledger.log import LostRace
from rating.records import RECORD
from streams.cluster import Topic
from streams.positions import Gap, app_id, next_offset, source

Partitions = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets begin <= offset < end of one partition, read without a gap."""

    begin: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Records of several partitions in the order of their arrival, with the spans that they fill.

    `records` is a table of RECORD whose `source_pos` are offsets; `partitions` has one element a record.
    """

    records: pa.Table
    partitions: Partitions
    spans: dict[int, Span]
    written_ms: int = 0
    """When the oldest message was written, in milliseconds since 1970; 0 if none says."""

    def beyond(self, reached: dict[int, int]) -> Batch:
        """What the ledger does not hold yet, if it has reached these offsets; Gap if it lacks what came before."""
        spans: dict[int, Span] = {}
        for partition, span in self.spans.items():
            at = reached[partition]
            if at < span.begin:
                raise Gap(
                    f"The records of partition {partition} from offset {span.begin} on were read, but the ledger is "
                    f"at {at}: it was set back. Nothing was written; start the worker again, it goes on at {at}."
                )
            if at < span.end:
                spans[partition] = Span(at, span.end)
        if spans == self.spans:
            return self
        first = np.full(max(self.spans) + 1, np.iinfo(np.int64).max)
        for partition, span in spans.items():
            first[partition] = span.begin
        keep = self.records.column("source_pos").to_numpy() >= first[self.partitions]
        return replace(
            self,
            records=self.records.filter(pa.array(keep)),
            partitions=self.partitions[keep],
            spans=spans,
        )


def joined(parts: list[Batch]) -> Batch:
    """Batches that follow one another as one."""
    spans: dict[int, Span] = {}
    for part in parts:
        for partition, span in part.spans.items():
            known = spans.get(partition)
            spans[partition] = span if known is None else Span(known.begin, span.end)
    written = [part.written_ms for part in parts if part.written_ms]
    return Batch(
        pa.concat_tables([part.records for part in parts]) if parts else RECORD.empty_table(),
        np.concatenate([part.partitions for part in parts]) if parts else np.zeros(0, np.int32),
        spans,
        min(written, default=0),
    )


@dataclass
class Committed:
    """What became of a batch: rows by outcome and by reason, and how often others were first."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    known: int = 0
    """records that the ledger held already: read again after a rebalance, or by a stale writer"""
    lost_races: int = 0


def commit(home: Home, topic: Topic, batch: Batch, received_at: datetime) -> Committed:
    """Charges the batch; every record of it is in the ledger once when this returns, and durable.

    Raises Gap if the ledger lacks records before the batch, LedgerFault if it cannot be written.
    """
    done = Committed()
    while True:
        home.see()
        fresh = batch.beyond(
            {partition: next_offset(home.calls, topic, partition) for partition in batch.spans}
        )
        done.known = batch.records.num_rows - fresh.records.num_rows
        if not fresh.spans:
            return done
        sources = _sources(topic, fresh.partitions)
        rows = rated_rows(home, home.prices, fresh.records, sources, received_at, None)
        offsets = {app_id(topic, partition): span.end for partition, span in fresh.spans.items()}
        try:
            done.counts = commit_rated(home, rows, offsets)
        except LostRace:
            done.lost_races += 1
            continue
        done.rows = rows.num_rows
        return done


def _sources(topic: Topic, partitions: Partitions) -> pa.ChunkedArray:
    """Where each record came from: `cdrs/3`."""
    names = [source(topic, number) for number in range(int(partitions.max(initial=-1)) + 1)]
    return pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array(partitions), pa.array(names, pa.string()))]
    )
