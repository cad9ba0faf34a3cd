"""What the business knows: the nouns, and the fold's state that commands are decided on.

Entries are frozen and replaced, never changed in place, and what the first replacement of each replaced is kept, so
a decision whose commit lost the race is taken back in time proportional to what it touched.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from rating.accounts import PLATFORM, Posting, customer
from rating.calendar import next_month
from rating.cases import Dispute, Fine, Sale, Suspicion

if TYPE_CHECKING:
    from rating.price_book import PriceBook

K = TypeVar("K")
V = TypeVar("V")
_FEW_DUE = 1_000


class _Absent(Enum):
    """What stood where a key had no value; the same object again after a snapshot is read."""

    ABSENT = "absent"


class Provider(NamedTuple):
    """A reseller (服务商); `top` is the provider directly under the platform whose tree it belongs to.

    `closed_for` holds why it may do nothing more, each cause once (R-PEN-1, R-PEN-2, R-PEN-4); empty: it may.
    """

    provider_id: str
    name: str
    parent_id: str
    top: str
    closed_for: tuple[str, ...] = ()


class Customer(NamedTuple):
    """The organisation that holds numbers; `low_balance_hao` None means no low-balance alert."""

    customer_id: str
    provider_id: str
    name: str
    low_balance_hao: int | None


class Intent(NamedTuple):
    """The form with a real customer's details that a special number's hold needs (R-HOLD-4)."""

    intent_id: str
    provider_id: str
    service_number: str
    approved: bool


class Hold(NamedTuple):
    """A pre-occupation; `until_at` is when it ends by itself or ended early, `cycle_s` its full length."""

    provider_id: str
    top: str
    from_at: datetime
    until_at: datetime
    cycle_s: int


class Contract(NamedTuple):
    """A customer's right to a number. Rates and raises are effective-dated; months count from `starts_on`.

    `moved_at` is when it came to its provider, if that is not the one that signed it.
    """

    customer_id: str
    provider_id: str
    plan_id: str
    signed_at: datetime
    starts_on: date
    paid_months: int
    base_minimum_hao: int
    base_rate_hao: int
    increment_s: int
    opening_month_free: bool
    rates: tuple[tuple[datetime, int], ...]
    raises: tuple[tuple[str, int], ...] = ()
    activated_at: datetime | None = None
    ended_at: datetime | None = None
    frozen: tuple[tuple[datetime, datetime | None], ...] = ()
    disuse_at: datetime | None = None
    moved_at: datetime | None = None


class Bar(NamedTuple):
    """Why a number is suspended or frozen; each bar stands until its own cause ends."""

    state: str
    why: str


class Number(NamedTuple):
    """A service number with its life: its `stage` and what bars it; `since_at` is when its state changed last.

    `verify_by` is the deadline of a re-verification, `restricted` that it was missed (R-NUM-3). `dated` holds
    the facets and instants of its changes since its last contract was signed, `decided` the ids of our own decisions
    that could be made again (`rating.decisions`).
    """

    service_number: str
    number_class: str
    stage: str
    since_at: datetime
    released_at: datetime | None = None
    holds: tuple[Hold, ...] = ()
    contracts: tuple[Contract, ...] = ()
    features: frozenset[str] = frozenset()
    bars: tuple[Bar, ...] = ()
    verify_by: datetime | None = None
    restricted: bool = False
    dated: tuple[tuple[str, datetime], ...] = ()
    decided: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """frozen or suspended while a bar says so, else the stage of its life."""
        if not self.bars:
            return self.stage
        return "frozen" if any(bar.state == "frozen" for bar in self.bars) else "suspended"

    @property
    def contract(self) -> Contract | None:
        """The contract in force, if any."""
        return self.contracts[-1] if self.contracts and self.contracts[-1].ended_at is None else None


class Credit(NamedTuple):
    """Prepaid call credit of one paid period (R-PLAN-1): pays charges of its months, first to end first."""

    account: str
    starts_on: date
    ends_on: date
    signed_at: datetime


class Standing(NamedTuple):
    """How an account stands (R-ARR-1): its stage since when, and how often each alert was raised."""

    stage: str = "clear"
    since: datetime | None = None
    low: bool = False
    raised: tuple[tuple[str, int], ...] = ()

    def times(self, kind: str) -> int:
        return dict(self.raised).get(kind, 0)


CLEAR = Standing()


class Journalled(dict[K, V], Generic[K, V]):
    """A dict that knows what stood there before: of each key that was replaced, what its first replacement replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[K, V | _Absent] = {}

    def put(self, key: K, value: V) -> None:
        """Replaces a value and notes what stood there."""
        if key not in self.before:
            self.before[key] = self.get(key, _Absent.ABSENT)
        self[key] = value

    def drop(self, key: K) -> None:
        """Removes a value and notes what stood there."""
        if key in self:
            self.before.setdefault(key, self[key])
            del self[key]


class State:
    """The fold of all events below `events_seq` and all calls below `calls_seq`."""

    def __init__(self) -> None:
        self.facts: Journalled[str, Any] = Journalled()
        self.providers: Journalled[str, Provider] = Journalled()
        self.customers: Journalled[str, Customer] = Journalled()
        self.numbers: Journalled[str, Number] = Journalled()
        self.numbers_of: Journalled[str, tuple[str, ...]] = Journalled()
        self.intents: Journalled[str, Intent] = Journalled()
        self.credits: Journalled[str, tuple[Credit, ...]] = Journalled()
        self.leaves: Journalled[str, int] = Journalled()
        self.usage: Journalled[str, Mapping[str, int]] = Journalled()
        self.balances: Journalled[str, int] = Journalled()
        self.standings: Journalled[str, Standing] = Journalled()
        self.rerated: Journalled[tuple[str, str, str], int] = Journalled()
        self.reversed: Journalled[str, str] = Journalled()
        self.disputes: Journalled[str, Dispute] = Journalled()
        self.disputed: Journalled[str, str] = Journalled()
        self.fines: Journalled[str, Fine] = Journalled()
        self.fined_by: Journalled[str, str] = Journalled()
        self.suspicions: Journalled[str, Suspicion] = Journalled()
        self.sales: Journalled[str, Sale] = Journalled()
        self.due: Journalled[tuple[str, str], datetime] = Journalled()
        self._tables = [table for table in vars(self).values() if isinstance(table, Journalled)]
        self.gathered: dict[str, Posting] = {}
        self._due_heap: list[tuple[datetime, str, str]] = []
        self.facts["events_seq"] = 0
        self.facts["calls_seq"] = 0
        self.providers[PLATFORM] = Provider(PLATFORM, "platform", PLATFORM, PLATFORM)

    # what is known as a whole

    @property
    def book(self) -> PriceBook:
        """The price book in force; every home adopts one in its first event."""
        book: PriceBook = self.facts["book"]
        return book

    @property
    def events_seq(self) -> int:
        return int(self.facts["events_seq"])

    @property
    def calls_seq(self) -> int:
        return int(self.facts["calls_seq"])

    @property
    def closed_month(self) -> str | None:
        """The last closed month; None before the first close."""
        month: str | None = self.facts.get("closed_month")
        return month

    def billed_month(self, month: str) -> str:
        """The month that a charge of `month` is billed to: its own, or the next to close (R-CALL-8)."""
        closed = self.closed_month
        return month if closed is None or month > closed else next_month(closed)

    # money

    def post(self, postings: Sequence[Posting]) -> None:
        """Moves the postings' amounts."""
        for one in postings:
            self.move(one.debit, -one.amount_hao, one.month)
            self.move(one.credit, one.amount_hao, one.month)

    def move(self, account: str, delta_hao: int, month: str) -> None:
        """Adds to a leaf; a customer's usage is kept by the month that it is billed to."""
        if account.startswith(f"{PLATFORM}/"):
            self.leaves.put(account, self.leaves.get(account, 0) + delta_hao)
            return
        kind, owner, leaf = account.split("/", 2)
        if leaf == "usage":
            self.spend(owner, -delta_hao, month)
            return
        self.leaves.put(account, self.leaves.get(account, 0) + delta_hao)
        whole = f"{kind}/{owner}"
        self.balances.put(whole, self.balances.get(whole, 0) + delta_hao)

    def spend(self, customer_id: str, hao: int, month: str) -> None:
        """Takes from a customer's usage, all that calls do."""
        usage = self.usage.get(customer_id)
        months = {month: -hao} if usage is None else {**usage, month: usage.get(month, 0) - hao}
        self.usage.put(customer_id, months)
        whole = customer(customer_id)
        self.balances.put(whole, self.balances.get(whole, 0) - hao)

    def balance(self, account: str) -> int:
        """Hao of all leaves under `customer/C` or `provider/P`."""
        return self.balances.get(account, 0)

    # what falls due

    def schedule(self, kind: str, key: str, at: datetime) -> None:
        """Something will happen at `at` unless it is unscheduled before; one entry for each kind and key."""
        self.due.put((kind, key), at)
        heapq.heappush(self._due_heap, (at, kind, key))

    def unschedule(self, kind: str, key: str) -> None:
        """It will not happen any more."""
        self.due.drop((kind, key))
        if 4 * len(self._due_heap) > 5 * len(self.due) + _FEW_DUE:  # a fifth of it was unscheduled
            self._due_heap = [(due_at, *which) for which, due_at in self.due.items()]
            heapq.heapify(self._due_heap)

    def next_due(self, at: datetime) -> tuple[datetime, str, str] | None:
        """The earliest entry due at or before `at`."""
        while self._due_heap:
            due_at, kind, key = self._due_heap[0]
            if self.due.get((kind, key)) != due_at:
                heapq.heappop(self._due_heap)
            elif due_at > at:
                return None
            else:
                return due_at, kind, key
        return None

    # taking back

    def keep(self) -> None:
        """All so far is in the ledger: it can't be taken back any more."""
        for table in self._tables:
            table.before.clear()

    def take_back(self) -> None:
        """Undoes everything since the last `keep`: its commit lost the race, or others committed meanwhile."""
        for table in self._tables:
            for key, old in table.before.items():
                if old is _Absent.ABSENT:
                    table.pop(key, None)
                else:
                    table[key] = old
                    if table is self.due:
                        heapq.heappush(self._due_heap, (old, *key))
            table.before.clear()
        self.gathered.clear()
