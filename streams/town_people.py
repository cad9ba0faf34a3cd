"""Who lives in the demo's town: providers, customers and their numbers. Invented, and the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from rating import price_book
from rating.money import HAO_PER_YUAN, parse_yuan
from rating.numbers import number_class
from rating.prices import Plan, PriceBook

SWITCHES = ("jinan", "freeswitch", "asterisk", "qingdao")
"""Where numbers are hosted: JSON Lines by week, FreeSWITCH's cdr_csv, Asterisk's Master.csv, a plain CSV."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A line of business: how much it is called, when, and how long people talk."""

    suffix: str
    volume: float
    weekend: float
    rhythm: str
    talk_s: int


TRADES = (
    Trade("餐饮管理有限公司", 1.0, 1.35, "meals", 50),
    Trade("口腔门诊部", 0.7, 0.8, "office", 90),
    Trade("物流有限公司", 1.8, 0.6, "office", 65),
    Trade("培训学校", 0.8, 0.9, "office", 100),
    Trade("家电维修服务有限公司", 1.5, 1.1, "office", 80),
    Trade("国际旅行社有限公司", 1.0, 0.9, "office", 110),
    Trade("酒店管理有限公司", 1.2, 1.2, "always", 65),
    Trade("汽车销售服务有限公司", 1.1, 1.0, "office", 95),
    Trade("房地产经纪有限公司", 0.9, 1.2, "office", 90),
    Trade("软件科技有限公司", 0.8, 0.3, "office", 135),
    Trade("律师事务所", 0.4, 0.2, "office", 150),
    Trade("医疗器械有限公司", 0.5, 0.3, "office", 85),
    Trade("农业科技有限公司", 0.4, 0.5, "office", 80),
    Trade("燃气服务有限公司", 1.3, 0.8, "always", 60),
)
HOTLINE = Trade("保险代理有限公司客户服务中心", 6.0, 0.75, "always", 100)
CITIES = {
    "济南": "0531", "青岛": "0532", "淄博": "0533", "烟台": "0535", "潍坊": "0536", "临沂": "0539", "泰安": "0538",
    "南京": "025", "苏州": "0512", "徐州": "0516", "北京": "010", "天津": "022", "郑州": "0371", "石家庄": "0311",
}  # fmt: skip
FEATURES = ("ivr", "recording", "ringback", "queue", "time_routing", "voicemail")
WORDS = (
    "鼎盛", "瑞康", "同源", "万家", "顺达", "海纳", "金穗", "博文", "德馨", "聚贤", "和润", "泰和", "百川", "恒通",
    "锦绣", "仁济", "齐鲁", "泉韵", "蓝湾", "东篱", "明湖", "嘉禾", "天宇", "汇丰源", "安居", "乐康", "长风", "新源",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provider:
    """A reseller in the town."""

    provider_id: str
    name: str
    parent_id: str | None


PROVIDERS = (
    Provider("P01", "山东鲁信通信代理有限公司", None),
    Provider("P02", "江苏苏讯通信服务有限公司", None),
    Provider("P03", "济南泉城通信技术有限公司", "P01"),
    Provider("P04", "青岛海通云通信有限公司", "P01"),
    Provider("P05", "南京金陵语音科技有限公司", "P02"),
    Provider("P06", "济南历下畅联商务服务有限公司", "P03"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A service number in use. `first_day` is the day of its first month (0-based) from which it is called."""

    number: str
    number_class: str
    customer: int
    plan: Plan
    rate: str | None
    """as the contract gives it; None: the plan's"""
    minimum_yuan: int | None
    rule: str
    phones: tuple[str, ...]
    features: tuple[str, ...]
    switch: str
    volume: float
    opens_on: int
    rejected_once: bool = False

    @property
    def rate_hao(self) -> int:
        return self.plan.rate_hao if self.rate is None else parse_yuan(self.rate)

    @property
    def first_day(self) -> int:
        """Contract on day `opens_on`, documents and activation on the next, calls from the day after."""
        return self.opens_on + 2 + self.rejected_once


@dataclass(frozen=True, slots=True)
class Customer:
    """An organisation in the town, its kind of business and its provider."""

    customer_id: str
    name: str
    provider_id: str
    trade: Trade
    joined: int
    """month of the town in which it came, from 0"""
    low_balance_yuan: int | None


@dataclass(frozen=True, slots=True)
class Cast:
    """Customers (by index) whose part in the story is fixed."""

    hotline: int = 0
    debtor: int = 1
    cleared: int = 2
    firm: int = 3
    raised: int = 4
    repriced: int = 5
    featured: int = 6
    quiet: int = 7


CAST = Cast()


@dataclass(frozen=True, slots=True)
class People:
    """Everybody in the town, and the numbers that they hold."""

    customers: tuple[Customer, ...]
    lines: tuple[Line, ...]
    """those of a customer stand together, in the order of the customers"""
    stock: tuple[str, ...]
    """numbers that are free"""
    special_stock: str
    book: PriceBook
    """the default one: it tells how much customers need"""
    since: date
    """first day of the first month"""

    def lines_of(self, customer: int) -> list[int]:
        return [index for index, line in enumerate(self.lines) if line.customer == customer]

    def joined(self, line: int) -> int:
        return self.customers[self.lines[line].customer].joined


def settle_people(seed: int, months: int, calls_a_month: int, since: date) -> People:
    """About 60 customers for 100,000 calls a month, more with the root of the calls; six providers."""
    return _Settlers(random.Random(f"town {seed}"), months, since).people(calls_a_month)


class _Settlers:
    """Draws people one after the other."""

    def __init__(self, rng: random.Random, months: int, since: date) -> None:
        self.rng = rng
        self.months = months
        self.since = since
        self.book = price_book.parse(price_book.default_text(), "default.toml")
        self.given: set[str] = set()

    def people(self, calls_a_month: int) -> People:
        count = min(600, max(14, round(60 * (calls_a_month / 100_000) ** 0.5)))
        ids = self.rng.sample(range(1, count + 1), count)
        customers, lines = [], []
        for index, (area, trade, name) in enumerate(self._names(count)):
            customer = Customer(
                customer_id=f"C{ids[index]:03d}",
                name=name,
                provider_id="P06" if index == CAST.featured else self.rng.choice(PROVIDERS).provider_id,
                trade=trade,
                joined=self._joined(index),
                low_balance_yuan=self._low_balance(index),
            )
            customers.append(customer)
            classes = self._classes(index)
            volume = trade.volume * self.rng.lognormvariate(0, 0.5) / len(classes)
            for place, wanted in enumerate(classes):
                lines.append(self._line(index, place, wanted, trade, area, volume))
        stock = tuple(self._number("ordinary") for _ in range(8))
        special = self._number("AAA-BBB")
        return People(tuple(customers), tuple(lines), stock, special, self.book, self.since)

    def _names(self, count: int) -> Iterator[tuple[str, Trade, str]]:
        """Area, trade and name, no name twice; the insurance hotline first."""
        yield CITIES["济南"], HOTLINE, "鲁泰" + HOTLINE.suffix
        cities, kinds = list(CITIES), len(CITIES) * len(TRADES)
        for place in self.rng.sample(range(kinds * len(WORDS)), count - 1):
            city, trade = cities[place % len(cities)], TRADES[place % kinds // len(cities)]
            yield CITIES[city], trade, f"{city}{WORDS[place // kinds]}{trade.suffix}"

    def _joined(self, index: int) -> int:
        """Who falls into arrears joins the month before, for the month of activation has no minimum."""
        if index == CAST.debtor:
            return max(0, self.months - 2)
        if index == CAST.cleared:
            return max(0, self.months - 3)
        return 0 if index < 14 or self.rng.random() < 0.8 else self.rng.randrange(self.months)

    def _low_balance(self, index: int) -> int | None:
        wanted = self.rng.choice((50, 100, 200)) if self.rng.random() < 0.25 else None
        return 100 if index == CAST.debtor else wanted

    def _classes(self, index: int) -> list[str]:
        """The classes of a customer's numbers: each class of special number has a holder."""
        if index == CAST.hotline:
            return ["AAAAA", "4008"]
        if index <= CAST.quiet:
            return ["ordinary"]
        specials = ("ABCD", "AAAA", "AABBCC", "ABC-ABC", "AAA-BBB", "ABCDE")
        place = index - CAST.quiet - 1
        chance = self.rng.random()
        first = self.rng.choice(specials[:4]) if chance < 0.06 else "4008" if chance < 0.14 else "ordinary"
        more = self.rng.choice((0, 0, 0, 1, 1, 2))
        return [specials[place] if place < len(specials) else first, *["ordinary"] * more]

    def _line(self, index: int, place: int, wanted: str, trade: Trade, area: str, volume: float) -> Line:
        rng, part = self.rng, index <= CAST.quiet
        number = self._number(wanted)
        found = number_class(number)
        plan_id, rate = self._plan(index, trade)
        plan = self.book.plan(plan_id, self.since)
        if plan is None:
            raise LookupError(f"the default price book has no plan {plan_id}")
        raised = not part and rng.random() < 0.06
        base_yuan = self.book.base_minimum_hao(found, self.since) // HAO_PER_YUAN
        features = tuple(rng.sample(FEATURES, rng.randint(1, 2))) if rng.random() < 0.35 else ()
        return Line(
            number=number,
            number_class=found,
            customer=index,
            plan=plan,
            rate=rate,
            minimum_yuan=base_yuan + 50 if raised else None,
            rule=rng.choice(("sequential", "sequential", "random", "round_robin", "by_time", "by_area")),
            phones=tuple(self._phone(area) for _ in range(rng.randint(1, 4))),
            features=("ivr", "conference", "recording") if index == CAST.featured else features,
            switch=self._switch(index, place),
            volume=self._volume(index, volume if found == "ordinary" else 2 * volume),
            opens_on=rng.randrange(2),
            rejected_once=index == CAST.repriced,
        )

    def _plan(self, index: int, trade: Trade) -> tuple[str, str | None]:
        """The plan, and the rate if the contract names one."""
        rng = self.rng
        if index in (CAST.debtor, CAST.cleared):
            return "PAYG", "0.30"
        if index in (CAST.firm, CAST.raised, CAST.repriced, CAST.quiet):
            return "Y600", "0.30"
        if trade.volume > 1.2:
            return rng.choice(("T2000", "T3000", "Y866")), None
        plan_id = rng.choices(("Y600", "Y866", "T2000", "T3000", "PAYG"), (40, 25, 15, 5, 15))[0]
        explicit = plan_id in {"Y600", "Y866"} and rng.random() < 0.5
        return plan_id, rng.choice(("0.15", "0.18", "0.20", "0.22", "0.25")) if explicit else None

    def _switch(self, index: int, place: int) -> str:
        if index == CAST.hotline:
            return ("jinan", "asterisk")[place]
        if index <= CAST.quiet:
            return "jinan"
        sure = index - CAST.quiet - 1  # even a small town has calls of every switch
        return SWITCHES[sure] if sure < len(SWITCHES) else self.rng.choices(SWITCHES, (65, 12, 12, 11))[0]

    def _volume(self, index: int, volume: float) -> float:
        if index == CAST.quiet:
            return 0.02
        if index == CAST.debtor or (index == CAST.cleared and self.months > 1):
            return 1.0
        return volume

    def _phone(self, area: str) -> str:
        """A fixed line; a few areas still have seven digits."""
        places = 10 ** (6 if area in {"0533", "0538"} else 7)
        return f"{area}{self.rng.choice('68')}{str(places + self.rng.randrange(places))[1:]}"

    def _number(self, wanted: str) -> str:
        """A number of the wanted class (`4008`: an ordinary one that begins so) that nobody has yet."""
        head = (
            "4008" if wanted == "4008" else self.rng.choice(("4000", "4001", "4006", "4006", "4007", "4009"))
        )
        wanted = "ordinary" if wanted == "4008" else wanted
        while True:
            number = f"{head}{self.rng.randrange(10**6):06d}"
            tail = "" if wanted == "ordinary" else self._tail(wanted)
            number = number[: 10 - len(tail)] + tail
            if number not in self.given and number_class(number) == wanted:
                self.given.add(number)
                return number

    def _tail(self, wanted: str) -> str:
        if wanted in {"ABCD", "ABCDE"}:
            first = self.rng.randint(0, 10 - len(wanted))
            return "".join(str(first + place) for place in range(len(wanted)))
        letters = dict(zip("ABC", self.rng.sample("0123456789", 3), strict=True))
        return "".join(letters[letter] for letter in wanted.replace("-", ""))
