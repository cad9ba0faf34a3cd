"""The rating kernel by itself, on one core: calls a second in batches, and what a catalogue costs to make."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating import price_book
from rating.areas import areas
from rating.calls import rate
from rating.catalogue import CHANGES, Catalogue, compile_changes
from rating.money import to_decimal_array
from rating.numbers import MOBILE_FROM, number_texts
from rating.records import INSTANT, RECORD
from rating.times import microseconds

BATCH = 100_000
REPEATS = 10
OPENED = microseconds(datetime(2022, 1, 1, tzinfo=UTC))
MONTH = microseconds(datetime(2026, 11, 1, tzinfo=UTC))
ARRIVED = datetime(2026, 11, 30, tzinfo=UTC)
DAY_US = 86_400 * 10**6


def facts(numbers: int, rates: int) -> pa.Table:
    """The changes of a town: each number is added, held, signed, active, and has `rates` rates, one after another.

    The last rate begins within the month of the calls, so for half of the calls the one before it holds.
    """
    rng = np.random.default_rng(1)
    texts = number_texts(rng.choice(10_000_000, numbers, replace=False).astype(np.int32))
    opened = OPENED + rng.integers(0, 300, numbers) * DAY_US
    last = MONTH + rng.integers(0, 30, numbers) * DAY_US

    def column(values: object) -> pa.Array:
        return pa.array([values]).take(pa.array(np.zeros(numbers, np.int64)))

    def people(letter: str, count: int) -> pa.Array:
        names = pa.array([f"{letter}{person:07d}" for person in range(count)])
        return names.take(pa.array(rng.integers(0, count, numbers)))

    rows: list[tuple[object, dict[str, pa.Array]]] = [
        (opened, {"facet": column("class"), "value": column("ordinary")}),
        (opened, {"facet": column("state"), "value": column("free")}),
        (opened + DAY_US, {
            "facet": column("holder"), "customer_id": people("C", numbers // 3), "provider_id": people("P", 300),
        }),
    ]  # fmt: skip
    for nth in range(rates):
        begins = opened + DAY_US + (last - opened) // max(1, rates - 1) * nth
        price = {"rate": to_decimal_array(rng.integers(8, 31, numbers) * 100), "increment_s": column(60)}
        rows.append((begins, {"facet": column("rate"), **price}))
        if nth == 0:
            rows.append((opened + 9 * DAY_US, {"facet": column("state"), "value": column("active")}))
    tables = [
        pa.table(
            [
                given.get(name, pa.nulls(numbers, kind))
                for name, kind in zip(CHANGES.names, CHANGES.types, strict=True)
            ],
            schema=CHANGES,
        )
        for _, values in rows
        for given in [{**values, "number": texts}]
    ]
    joined = pa.concat_tables(tables)
    begins_at = pa.array(np.concatenate([np.asarray(begins) for begins, _ in rows])).cast(INSTANT)
    return joined.set_column(3, CHANGES.field("from_at"), begins_at).set_column(
        0, CHANGES.field("seq"), pa.array(np.arange(len(joined)))
    )


def calls(catalogue: Catalogue, seed: int) -> pa.Table:
    """A batch of clean records: 85 % answered, 70 % from mobiles, durations lognormal, areas left to be found."""
    rng = np.random.default_rng(seed)
    keys = catalogue.segments.keys
    start = MONTH + rng.integers(0, 28 * 86_400, BATCH) * 10**6
    answered = rng.random(BATCH) < 0.85
    talks_s = np.where(answered, np.minimum(np.exp(rng.normal(4, 1, BATCH)), 7200).astype(np.int64), 0)
    answer = start + rng.integers(1, 20, BATCH) * 10**6
    mobiles = [
        f"{prefix}{rest:04d}"
        for prefix, rest in zip(
            rng.integers(MOBILE_FROM, 2_000_000, BATCH).tolist(),
            rng.integers(0, 10_000, BATCH).tolist(),
            strict=True,
        )
    ]
    codes = areas().codes.to_pylist()
    lines = [
        f"{codes[place % len(codes)]}{place:08d}" for place in rng.integers(10**7, 9 * 10**7, BATCH).tolist()
    ]
    mobile = rng.random(BATCH) < 0.7
    columns = {
        "call_id": pa.array([f"sw1-{seed}-{place:012d}" for place in range(BATCH)]),
        "service_number": number_texts(keys[rng.integers(0, len(keys), BATCH)]),
        "caller_number": pc.if_else(pa.array(mobile), pa.array(mobiles), pa.array(lines)),
        "start_at": pa.array(start).cast(INSTANT),
        "answer_at": pa.array(answer, mask=~answered).cast(INSTANT),
        "end_at": pa.array(answer + talks_s * 10**6).cast(INSTANT),
        "duration_s": pa.array(talks_s),
        "raw": pa.array([b"x" * 350] * BATCH),
        "source_pos": pa.array(np.arange(BATCH) * 351),
    }
    return pa.table([columns.get(f.name, pa.nulls(BATCH, f.type)) for f in RECORD], schema=RECORD)


def dirty(batch: pa.Table) -> dict[str, pa.Table]:
    """The batch with every record wrong, or written, in one way."""
    ended = pa.array(batch["start_at"].cast(pa.int64()).to_numpy() - 1).cast(INSTANT)

    def with_(name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
        place = RECORD.get_field_index(name)
        return batch.set_column(place, RECORD.field(place), column)

    def after(head: str, name: str) -> pa.ChunkedArray:
        return pc.binary_join_element_wise(head, batch[name], "")

    return {
        "rejected, unknown number": with_(
            "service_number", number_texts(np.arange(10**7, 10**7 + BATCH, dtype=np.int32))
        ),
        "rejected, area code before 400": with_("service_number", after("010-", "service_number")),
        "rejected, end before start": with_("end_at", ended),
        "numbers with +86": with_("service_number", after("+86 ", "service_number")),
        "callers with +86": with_("caller_number", after("+86 ", "caller_number")),
        "area given": with_("caller_area", pa.array(["0531", "010", "021", "0755"] * (BATCH // 4))),
    }


def best(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of the quickest run: what the machine can do when nothing else wants it."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def patches(catalogue: Catalogue, changes: pa.Table) -> float:
    """Seconds that ten new rates cost."""
    ten = changes.filter(pc.equal(changes["facet"], "rate"))
    ten = ten.take(pa.array(np.linspace(0, len(ten) - 1, 10).astype(np.int64)))
    return best(lambda: catalogue.patched(ten, catalogue.terms))


def main(numbers: int = 100_000, many: int = 1_000_000) -> None:
    """Prints millions of calls a second, the price of dirt, and seconds for catalogues."""
    pa.set_cpu_count(1)
    terms = price_book.parse(price_book.default_text(), "default.toml").terms()
    changes = facts(numbers, rates=4)
    catalogue = compile_changes(changes, terms)
    batch = calls(catalogue, seed=2)
    outcomes = pc.value_counts(
        rate(batch, catalogue, ARRIVED)["outcome"].combine_chunks().dictionary_decode()
    )
    if outcomes.to_pylist() != [{"values": "rated", "counts": BATCH}]:
        raise SystemExit(f"unexpected: {outcomes}")
    clean = best(lambda: rate(batch, catalogue, ARRIVED))
    segments = len(catalogue.segments.from_us) - 1
    print(f"{numbers:,} numbers, {segments:,} rate segments, batches of {BATCH:,}, one core")
    print(f"  clean: {BATCH / clean / 1e6:.1f} million calls/s ({clean * 1e9 / BATCH:.0f} ns a call)")
    for name, table in dirty(batch).items():
        seconds = best(partial(rate, table, catalogue, ARRIVED))
        print(
            f"  all {name}: {BATCH / seconds / 1e6:.2f} million calls/s, {seconds / clean:.1f} × the time of clean"
        )
    print(f"  ten changes patched in {patches(catalogue, changes) * 1e3:.1f} ms")

    changes = facts(many, rates=2)
    began = time.perf_counter()
    catalogue = compile_changes(changes, terms)
    seconds = time.perf_counter() - began
    print(f"{many:,} numbers, {len(changes):,} changes: compiled from cold in {seconds:.1f} s")
    print(f"  ten changes patched in {patches(catalogue, changes) * 1e3:.0f} ms")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
