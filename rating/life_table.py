"""The life of a service number as one table (R-NUM-1): which state each step starts from and leads to.

`docs/numbers.md` is drawn from it, and every command that moves a number asks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from rating.accounts import Refused
from rating.reasons import Reason
from rating.state import Number

STATES = (
    "free", "held", "locked", "documents_submitted", "real_name_approved", "active", "suspended", "frozen", "reclaimed",
)  # fmt: skip
OPENING = ("locked", "documents_submitted", "real_name_approved")
"""Contracted, and on the way to active."""
IN_USE = ("active", "suspended", "frozen")
CONTRACTED = (*OPENING, *IN_USE)
_NO_CONTRACT = dict.fromkeys(("free", "held", "reclaimed"), Reason.NOT_CONTRACTED)


class Step(NamedTuple):
    """One way from a state to another; `to` is empty where the state stays.

    `refused` names the reason for states that `starts` leaves out, if it is not BAD_STATE.
    """

    by: str
    starts: tuple[str, ...]
    to: str
    verb: str
    needs: str = ""
    refused: Mapping[str, Reason] = {}


LIFE = (
    Step("hold_number", ("free",), "held", "held",
         "cooled 30 minutes; not held by the same tree in the cycle before; a special number: an approved intent form",
         dict.fromkeys((*STATES[1:],), Reason.NUMBER_TAKEN)),
    Step("the hold's end", ("held",), "free", "", "nothing: it ends at that very instant"),
    Step("release_number", ("held", "reclaimed"), "free", "released"),
    Step("sign_contract", ("held",), "locked", "contracted", "held for the customer's provider or its tree",
         {"free": Reason.NOT_HELD}),
    Step("submit_documents", ("locked", "documents_submitted"), "documents_submitted", "given documents",
         "all required documents", _NO_CONTRACT),
    Step("approve_real_name", ("documents_submitted",), "real_name_approved", "approved", "", _NO_CONTRACT),
    Step("reject_real_name", ("documents_submitted",), "locked", "rejected", "", _NO_CONTRACT),
    Step("activate_number", ("real_name_approved",), "active", "activated", "a customer that is not in arrears",
         _NO_CONTRACT | dict.fromkeys(("locked", "documents_submitted"), Reason.NOT_REAL_NAMED)),
    Step("arrears", ("active",), "suspended", "", "the customer's balance fell below zero (`suspend_after_days`)"),
    Step("a missed re-verification", ("active",), "suspended", "",
         "the number was `restricted` for 30 days (`restricted_days`)"),
    Step("suspend_number", ("active", "suspended"), "suspended", "suspended", "not suspended by command already",
         _NO_CONTRACT),
    Step("arrears that go on", ("active", "suspended"), "frozen", "", "30 days in arrears (`freeze_after_days`)"),
    Step("freeze_number", CONTRACTED, "frozen", "frozen",
         "a reason of the closed list that does not freeze it already; `arrears`: a customer in arrears", _NO_CONTRACT),
    Step("suspect_fraud", CONTRACTED, "frozen", "suspected", "no open suspicion", _NO_CONTRACT),
    Step("a payment that clears", ("suspended", "frozen"), "active", "", "a balance of zero or more, no other bar"),
    Step("approve_real_name again", IN_USE, "", "approved", "a re-verification that was required", _NO_CONTRACT),
    Step("require_real_name", IN_USE, "", "verified again", "none required already", _NO_CONTRACT),
    Step("resume_number", ("suspended", "frozen"), "active", "resumed", "suspended by command, no other bar",
         _NO_CONTRACT),
    Step("unfreeze_number", ("frozen",), "active", "unfrozen",
         "frozen by command; leads back to where the freeze found it, or to what else bars it", _NO_CONTRACT),
    Step("clear_suspicion", ("frozen",), "active", "cleared of suspicion", "the same", _NO_CONTRACT),
    Step("transfer_number", CONTRACTED, "", "transferred", "another provider", _NO_CONTRACT),
    Step("complain_no_service", CONTRACTED, "", "moved to the platform", "a provider that is not the platform",
         _NO_CONTRACT),
    Step("confirm_disuse", CONTRACTED, "", "confirmed to be out of use", "", _NO_CONTRACT),
    Step("reclaim_number", CONTRACTED, "reclaimed", "reclaimed",
         "`arrears`: long arrears and `confirm_disuse`; `overdue_fine`, `serious_violation`: its provider's",
         _NO_CONTRACT),
    Step("a fine overdue, a serious case", CONTRACTED, "reclaimed", "", "its provider's"),
)  # fmt: skip
_STARTS = {
    by: tuple(state for step in LIFE if step.by == by for state in step.starts) for by in {s.by for s in LIFE}
}
_STEP = {step.by: step for step in reversed(LIFE)}


def state_at(number: Number, at: datetime) -> str:
    """The number's state; a hold ends by itself at its last instant, which is no longer in it (R-HOLD-1)."""
    if number.stage == "held" and at >= number.holds[-1].until_at:
        return "free"
    return number.state


def check_step(number: Number, by: str, at: datetime, now: str | None = None) -> str:
    """The state that the step starts from; Refused if the table has no such step from there."""
    now = state_at(number, at) if now is None else now
    starts, step = _STARTS[by], _STEP[by]
    if now in starts:
        return now
    reason = step.refused.get(now, Reason.BAD_STATE)
    if reason == Reason.NOT_CONTRACTED:
        sentence = f"{number.service_number} is {now}: it needs a contract before it can be {step.verb}."
    elif reason == Reason.NOT_REAL_NAMED:
        sentence = f"{number.service_number} is {now}: its holder's real name must be approved before activation (R-NUM-1)."
    elif reason == Reason.NOT_HELD:
        sentence = f"{number.service_number} is not held: hold it before its contract."
    elif reason == Reason.NUMBER_TAKEN:
        sentence = f"{number.service_number} is {now} and can't be held."
    else:
        can_be = " or ".join(sorted(starts))
        sentence = f"{number.service_number} is {now}; it can be {step.verb} when it is {can_be}."
    raise Refused(reason, sentence)
