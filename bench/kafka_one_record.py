"""The job of a worker as one Faust agent would do it that handles one record at a time: what batches are compared with.

python -m bench.kafka_one_record HOST:PORT PREFIX HOME RECORDS
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
import numpy as np

from bench.ingest import ARRIVAL
from ledger.home import Home
from rating.calendar import parse_instant
from streams.batches import Batch, Span, commit
from streams.cluster import Cluster
from streams.messages import MessageDecoder
from streams.topics import CDRS


async def main(address: str, prefix: str, folder: Path, records: int) -> None:
    """Prints the records a second, from the first to the last; each is rated and committed durably by itself."""
    cluster = Cluster(address, prefix)
    topic = cluster.needed([CDRS])[CDRS]
    home, decoder, received = Home.open(folder), MessageDecoder(), parse_instant(ARRIVAL)
    app = faust.App(
        "one-record", broker=f"kafka://{address}", value_serializer="raw", key_serializer="raw", store="memory://",
        topic_disable_leader=True, topic_allow_declare=False, web_enabled=False, autodiscover=False,
        datadir=tempfile.mkdtemp(),
    )  # fmt: skip
    done = asyncio.Event()
    times: list[float] = []

    async def handle(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            rows, _ = decoder.records([message.value], [None], np.array([message.offset]))
            span = {message.partition: Span(message.offset, message.offset + 1)}
            commit(home, topic, Batch(rows, np.array([message.partition], np.int32), span), received)
            times.append(time.perf_counter())
            if len(times) == records:
                done.set()

    app.agent(app.topic(topic.name, value_serializer="raw", key_serializer="raw"))(handle)
    await app.start()
    await done.wait()
    print((records - 1) / (times[records - 1] - times[0]))
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
