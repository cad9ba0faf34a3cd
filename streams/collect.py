"""Switch files into the topic `cdrs`, for switches that cannot speak Kafka (`fentan collect`).

How far each file was sent stands in a file beside them, and moves when Kafka has acknowledged: a file is done when
its last record is. After a crash at most the records of one chunk are sent again, with the same call ids, and the
ledger counts them as duplicates. Files are known by their content, as `fentan ingest` knows them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from streams import files
from streams.cluster import BrokerFault, Cluster
from streams.decode import Format, FormatError, load_format, read_chunks
from streams.messages import FAULT, FAULT_DETAIL
from streams.place_file import PlaceFile
from streams.topics import CDRS
from streams.watching import CannotRead, Watch, call_files

if TYPE_CHECKING:
    from confluent_kafka import Producer

PLACES = ".fentan-collect.json"
_HEAD_BYTES = 64 << 10
_CHUNK_BYTES = 4 << 20
_POLL_S = 0.2
_PATIENCE_S = 60
_TIMES = ("start_at", "answer_at", "end_at")
_FIELDS = ("call_id", "service_number", "caller_number", "caller_area", *_TIMES, "duration_s", "answering_phone",
           "answer_rule", "recording_ref")  # fmt: skip


class Message(NamedTuple):
    """A record for cdrs."""

    key: str | None
    value: bytes
    headers: list[tuple[str, str | bytes | None]]


@dataclass
class Collected:
    """What one run sent."""

    files: int = 0
    """files of which something was sent"""
    records: int = 0
    unread: list[str] = field(default_factory=list)
    """a sentence for each file that could not be read at all"""


def collect(
    cluster: Cluster,
    path: Path,
    format_name: str,
    places: Path | None,
    stop: Callable[[], bool] | None,
    heard: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Sends what a folder, or a file, holds; until `stop` says so, or once if there is none.

    `places`: the file of places; by default `.fentan-collect.json` in the folder. `heard` is told of files that
    cannot be read. Raises BrokerFault when Kafka does not acknowledge, CannotRead if there is no such path.
    """
    cluster.needed([CDRS])
    folder = path if path.is_dir() else path.parent
    known, sent = PlaceFile(places or folder / PLACES), Collected()
    producer = cluster.producer(message_timeout_ms=_PATIENCE_S * 1000, linger_ms=20)
    topic = cluster.name(CDRS)

    def one_file(file: Path, *, complete: bool) -> None:
        try:
            _send_file(producer, topic, known, file, format_name, sent, complete=complete)
        except FormatError as fault:
            sent.unread.append(f"{file}: {fault}")
            heard(sent.unread[-1])

    if stop is None:
        for one in call_files(path):
            one_file(one, complete=True)
        return sent
    call_files(path)
    watch = Watch(path)
    while not stop():
        for one, complete in watch.changed():
            one_file(one, complete=complete)
        time.sleep(_POLL_S)
    return sent


def _send_file(
    producer: Producer, topic: str, known: PlaceFile, path: Path, format_name: str, sent: Collected, *, complete: bool
) -> None:  # fmt: skip
    try:
        size = path.stat().st_size
        stream = path.open("rb")
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}.") from None
    with stream:
        if not size:
            return
        fmt = load_format(format_name, stream.read(_HEAD_BYTES))
        place = files.find(known, stream, size, whole=fmt.kind == "parquet")
        file_id, before = place.file_id, sent.records
        digest = None if fmt.kind == "parquet" else place.digest
        chunks = read_chunks(
            stream, fmt, start=place.offset, chunk_bytes=_CHUNK_BYTES, complete=complete, digest=digest
        )
        for chunk in chunks:
            _send(producer, topic, messages_of(chunk.records, fmt))
            known.put(files.offsets(file_id, chunk.end, chunk.digest))
            file_id = file_id or chunk.digest
            sent.records += chunk.records.num_rows
        sent.files += sent.records > before


def messages_of(records: pa.Table, fmt: Format) -> Iterator[Message]:
    """Records as the contract's JSON, keyed by service number; one that could not be read as its own bytes, with
    what is wrong with it in headers."""
    rows = records.select(["service_number", "fault", "fault_detail", "raw"]).to_pylist()
    values = _as_they_are(records) if fmt.name == "jsonl" else _as_json(records)
    for row, value in zip(rows, values, strict=True):
        if row["fault"] and fmt.name != "jsonl":
            headers: list[tuple[str, str | bytes | None]] = [
                (FAULT, row["fault"].encode()),
                (FAULT_DETAIL, (row["fault_detail"] or "").encode()),
            ]
            yield Message(row["service_number"], row["raw"] or b"", headers)
        else:
            yield Message(row["service_number"], value, [])


def _as_they_are(records: pa.Table) -> list[bytes]:
    return [value or b"" for value in records.column("raw").to_pylist()]


def _as_json(records: pa.Table) -> list[bytes]:
    columns: dict[str, list[Any]] = {}
    for name in _FIELDS:
        column = records.column(name)
        if name in _TIMES:
            column = pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
        columns[name] = column.to_pylist()
    extras = records.column("extra").to_pylist()
    return [
        orjson.dumps({**(orjson.loads(extra) if extra else {}), **dict(zip(_FIELDS, values, strict=True))})
        for extra, values in zip(extras, zip(*columns.values(), strict=True), strict=True)
    ]


def _send(producer: Producer, topic: str, messages: Iterator[Message]) -> None:
    """Returns when Kafka has acknowledged all; BrokerFault if it does not."""
    from confluent_kafka import KafkaException

    failures: list[str] = []

    def heard(error: Any, _message: Any) -> None:
        if error is not None:
            failures.append(str(error))

    try:
        for message in messages:
            while True:
                try:
                    producer.produce(
                        topic,
                        key=message.key,
                        value=message.value,
                        headers=message.headers,
                        on_delivery=heard,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        left = producer.flush(_PATIENCE_S + 5)
    except KafkaException as error:
        failures, left = [str(error)], 0
    if failures or left:
        raise BrokerFault(
            f"Kafka did not take the records: {failures[0] if failures else f'{left} were not acknowledged'}. Look at "
            "the broker, then run the command again: it goes on where Kafka had acknowledged."
        )
