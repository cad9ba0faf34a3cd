"""The demo's calls as their switches write them: JSON Lines, CSV, FreeSWITCH `cdr_csv`, Asterisk `Master.csv`.

Every function takes columns and returns a binary array, one text with its line end per row; nothing is
formatted row by row, texts are taken from tables.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa

from rating.calendar import days_in, first_day, start_of_month
from streams.town_calls import AREAS, DAY_S, FOUR_DIGITS, Bools, Callers, Calls, Ints, binary, join, take
from streams.town_people import People

CSV_HEADER = (
    b"call_id,service_number,caller_number,start_at,answer_at,end_at,"
    b"duration_s,answering_phone,answer_rule,recording_ref\n"
)
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_MENU = (b"", b',"ivr_path":"1"', b',"ivr_path":"2"', b',"ivr_path":"1-3"', b',"ivr_path":"0"')
_NAMES = ("张伟", "王芳", "李娜", "刘洋", "陈静", "杨磊")
_HEX = binary([b"%04x" % number for number in range(65_536)])
_WHOLE = binary([*(b"%d" % number for number in range(10_000)), b""])
_DIGITS = pa.concat_arrays([FOUR_DIGITS, binary([b""])])


def _times_of_day(form: bytes) -> pa.Array:
    """A text for each second of the day, and an empty one."""
    seconds = range(DAY_S)
    return binary([*(form % (second // 3600, second // 60 % 60, second % 60) for second in seconds), b""])


_ZONED = _times_of_day(b"T%02d:%02d:%02d+08:00")
_LOCAL = _times_of_day(b" %02d:%02d:%02d")


class Lines:
    """The tables of one month; `serial` numbers the calls within it."""

    def __init__(self, people: People, callers: Callers, month: str, rng: np.random.Generator) -> None:
        self.rng = rng
        self.callers = callers
        self.month = month.encode()
        self.epoch = int(start_of_month(month).timestamp())
        days = [first_day(month) + timedelta(days=day) for day in range(days_in(month) + 3)]
        self.days = binary([*(day.isoformat().encode() for day in days), b""])
        numbers = [line.number for line in people.lines]
        self.numbers = binary([number.encode() for number in numbers])
        spelled = [*numbers, *(f"{n[:3]}-{n[3:6]}-{n[6:]}" for n in numbers), *(f"+86{n}" for n in numbers)]
        self.spelled = binary(
            [text.encode() for text in (*spelled, *(n.translate(_FULL_WIDTH) for n in numbers))]
        )
        self.rules = binary([line.rule.encode() for line in people.lines])
        self.first_phone = np.cumsum([0, *(len(line.phones) for line in people.lines)])
        self.phones = binary([*(phone.encode() for line in people.lines for phone in line.phones), b""])
        self.recorded = np.array(["recording" in line.features for line in people.lines])
        self.menu = np.array(["ivr" in line.features for line in people.lines])
        names = [name.encode(coding) for coding in ("utf-8", "gbk") for name in _NAMES]
        self.names = pa.concat_arrays([callers.numbers, binary(names)])

    def json_lines(self, calls: Calls, serial: Ints) -> pa.Array:
        """A few spell the service number with hyphens, +86 or full-width digits (valid, F-08)."""
        answered, rng, rows = calls.answered, self.rng, len(calls)
        odd = np.abs(serial % 1500 - 9) < 5
        spelling = np.where(odd, serial % 3 + 1, 0) * len(self.numbers) + calls.line
        withheld = calls.caller == self.callers.withheld
        area = np.where(rng.random(rows) < 0.2, self.callers.area[calls.caller], 0)
        areas = binary([b"", *(b',"caller_area":"' + code.encode() + b'"' for code in AREAS)])
        menu = np.where(
            self.menu[calls.line] & (rng.random(rows) < 0.5), rng.integers(1, len(_MENU), rows), 0
        )
        silent = rng.random(rows) < 0.01  # no duration_s: it follows from the times (R-CALL-3)
        return join(
            b'{"call_id":"jn-' + self.month + b"-",
            *self._serial(serial),
            b'","service_number":"',
            take(self.spelled, spelling),
            _either(withheld, b'","caller_number":null', b'","caller_number":"'),
            take(self.callers.numbers, calls.caller),
            _either(withheld, b"", b'"'),
            take(areas, area),
            b',"start_at":"',
            *self._instant(calls.start_s, _ZONED),
            _either(answered, b'","answer_at":"', b'","answer_at":null'),
            *self._instant(calls.answer_s, _ZONED),
            _either(answered, b'","end_at":"', b',"end_at":"'),
            *self._instant(calls.end_s, _ZONED),
            _either(silent, b'"', b'","duration_s":'),
            take(_WHOLE, np.where(silent, len(_WHOLE) - 1, calls.talk_s)),
            _either(answered, b',"answering_phone":"', b',"answering_phone":null'),
            self._phone(calls, answered),
            _either(answered, b'","answer_rule":"', b',"answer_rule":"'),
            take(self.rules, calls.line),
            _either(
                answered & self.recorded[calls.line], b'","recording_ref":"rec/' + self.month + b"/", b'"'
            ),
            *self._recording(calls, serial, b'.wav"'),
            take(binary(list(_MENU)), menu),
            b"}\n",
        )

    def csv(self, calls: Calls, serial: Ints) -> pa.Array:
        """The contract's own columns; an absent value is an empty field."""
        comma = b","
        return join(
            b"qd-" + self.month + b"-",
            *self._serial(serial),
            comma,
            take(self.numbers, calls.line),
            comma,
            take(self.callers.numbers, calls.caller),
            comma,
            *self._instant(calls.start_s, _ZONED),
            comma,
            *self._instant(calls.answer_s, _ZONED),
            comma,
            *self._instant(calls.end_s, _ZONED),
            comma,
            take(_WHOLE, calls.talk_s),
            comma,
            self._phone(calls, calls.answered),
            comma,
            take(self.rules, calls.line),
            _either(calls.answered & self.recorded[calls.line], b",rec/" + self.month + b"/", comma),
            *self._recording(calls, serial, b".wav"),
            b"\n",
        )

    def freeswitch(self, calls: Calls) -> pa.Array:
        """mod_cdr_csv's template `example`: local times, no header. Some caller names are GBK, not UTF-8."""
        rng, rows, answered = self.rng, len(calls), calls.answered
        named = np.where(
            rng.random(rows) < 0.04, rng.integers(0, 2 * len(_NAMES), rows) + len(self.callers.numbers), -1
        )
        if rows:
            named[-1] = len(self.names) - 1
        comma = b'","'
        return join(
            b'"',
            take(self.names, np.where(named >= 0, named, calls.caller)),
            comma,
            take(self.callers.numbers, calls.caller),
            comma,
            take(self.numbers, calls.line),
            b'","public","',
            *self._instant(calls.start_s, _LOCAL),
            comma,
            *self._instant(calls.answer_s, _LOCAL),
            comma,
            *self._instant(calls.end_s, _LOCAL),
            comma,
            take(_WHOLE, calls.end_s - calls.start_s),
            comma,
            take(_WHOLE, calls.talk_s),
            _either(answered, b'","NORMAL_CLEARING","', b'","ORIGINATOR_CANCEL","'),
            *self._uuid(rows),
            comma,
            *self._uuid(rows),
            b'","","PCMA","PCMA"\n',
        )

    def asterisk(self, calls: Calls, serial: Ints) -> tuple[pa.Array, Ints]:
        """Master.csv with uniqueid, and the call's row for each line; some calls have two rows.

        A phone that rang in vain before the next one answered is a row NO ANSWER with the same uniqueid
        and an earlier end.
        """
        start, phone = calls.start_s, calls.phone
        rang = calls.answered & (phone > 0) & (calls.answer_s - start > 5)
        moved = np.where(rang, (calls.answer_s - start) // 2, 0)
        main = self._asterisk_rows(calls, serial, start + moved, calls.answered)
        before = np.flatnonzero(rang)
        first = calls.where(before)
        unanswered = np.full(len(first), -1)
        vain = Calls(
            first.line,
            first.start_s,
            unanswered,
            first.start_s + moved[before],
            np.zeros_like(first.talk_s),
            first.caller,
            first.phone - 1,
        )
        extra = self._asterisk_rows(vain, serial[before], vain.start_s, vain.answered)
        of_call = np.concatenate([before, np.arange(len(calls))])
        order = np.argsort(of_call, kind="stable")
        return take(pa.concat_arrays([extra, main]), order), of_call[order]

    def _asterisk_rows(self, calls: Calls, serial: Ints, start_s: Ints, answered: Bools) -> pa.Array:
        caller = take(self.callers.numbers, calls.caller)
        phone = self._phone(calls, np.ones(len(calls), np.bool_))
        comma = b'","'
        return join(
            b'"","',
            caller,
            comma,
            take(self.numbers, calls.line),
            b'","from-trunk","""',
            caller,
            b'"" <',
            caller,
            b'>","PJSIP/trunk-',
            *self._serial(serial),
            b'","PJSIP/',
            phone,
            b"-",
            *self._serial(serial),
            b'","Dial","PJSIP/',
            phone,
            b'@trunk,30","',
            *self._instant(start_s, _LOCAL),
            comma,
            *self._instant(calls.answer_s, _LOCAL),
            comma,
            *self._instant(calls.end_s, _LOCAL),
            b'",',
            take(_WHOLE, calls.end_s - start_s),
            b",",
            take(_WHOLE, calls.talk_s),
            _either(answered, b',"ANSWERED","DOCUMENTATION","', b',"NO ANSWER","DOCUMENTATION","'),
            pa.array(calls.start_s + self.epoch).cast(pa.string()).cast(pa.binary()),
            b".",
            *self._serial(serial),
            b'",""\n',
        )

    def _instant(self, second: Ints, times: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Day and time of day; below zero: empty."""
        day, time = np.divmod(second, DAY_S)
        none = second < 0
        return (
            take(self.days, np.where(none, len(self.days) - 1, day)),
            take(times, np.where(none, len(times) - 1, time)),
        )

    def _serial(self, serial: Ints) -> tuple[pa.Array, pa.Array]:
        high, low = np.divmod(serial, 10_000)
        return take(FOUR_DIGITS, high), take(FOUR_DIGITS, low)

    def _phone(self, calls: Calls, shown: Bools) -> pa.Array:
        return take(
            self.phones, np.where(shown, self.first_phone[calls.line] + calls.phone, len(self.phones) - 1)
        )

    def _recording(self, calls: Calls, serial: Ints, ending: bytes) -> tuple[pa.Array, ...]:
        recorded = calls.answered & self.recorded[calls.line]
        empty = len(_DIGITS) - 1
        high, low = np.divmod(serial, 10_000)
        return (
            take(_DIGITS, np.where(recorded, high, empty)),
            take(_DIGITS, np.where(recorded, low, empty)),
            _either(recorded, ending, b""),
        )

    def _uuid(self, rows: int) -> tuple[pa.Array | bytes, ...]:
        words = self.rng.integers(0, 65_536, (8, rows))
        words[3] = words[3] & 0x0FFF | 0x4000
        words[4] = words[4] & 0x3FFF | 0x8000
        a, b, c, d, e, f, g, h = (take(_HEX, word) for word in words)
        return a, b, b"-", c, b"-", d, b"-", e, b"-", f, g, h


def _either(which: Bools, yes: bytes, no: bytes) -> pa.Array:
    return take(binary([no, yes]), which.astype(np.int8))
