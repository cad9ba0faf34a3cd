"""Why an input was not charged or a command was refused: the closed list, each with what to do next.

A reason says whether sending the same thing again can help (`retry`), so nobody has to guess.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The codes that stand in `calls.reason` and `events.reason`. Public: renaming one breaks readers."""

    # calls
    UNREADABLE = "UNREADABLE"
    MISSING_FIELD = "MISSING_FIELD"
    BAD_NUMBER = "BAD_NUMBER"
    UNKNOWN_NUMBER = "UNKNOWN_NUMBER"
    NO_PLAN = "NO_PLAN"
    BAD_INTERVAL = "BAD_INTERVAL"
    DURATION_LIMIT = "DURATION_LIMIT"
    CLOCK_SKEW = "CLOCK_SKEW"
    TOO_LATE = "TOO_LATE"
    DUPLICATE = "DUPLICATE"
    CONFLICTING_DUPLICATE = "CONFLICTING_DUPLICATE"
    # values in commands
    BAD_VALUE = "BAD_VALUE"
    # who and what a command names
    UNKNOWN_KIND = "UNKNOWN_KIND"
    BAD_ID = "BAD_ID"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    UNKNOWN_PROVIDER = "UNKNOWN_PROVIDER"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    UNKNOWN_INTENT = "UNKNOWN_INTENT"
    UNKNOWN_PLAN = "UNKNOWN_PLAN"
    UNKNOWN_FEATURE = "UNKNOWN_FEATURE"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    UNKNOWN_POSTING = "UNKNOWN_POSTING"
    # numbers and holds
    NUMBER_TAKEN = "NUMBER_TAKEN"
    NUMBER_COOLING = "NUMBER_COOLING"
    HOLD_CONSECUTIVE = "HOLD_CONSECUTIVE"
    INTENT_MISSING = "INTENT_MISSING"
    NOT_HELD = "NOT_HELD"
    BAD_STATE = "BAD_STATE"
    # contracts and documents
    NOT_CONTRACTED = "NOT_CONTRACTED"
    DOCUMENTS_MISSING = "DOCUMENTS_MISSING"
    NOT_REAL_NAMED = "NOT_REAL_NAMED"
    CUSTOMER_IN_ARREARS = "CUSTOMER_IN_ARREARS"
    # minimums
    MINIMUM_BELOW_FORMULA = "MINIMUM_BELOW_FORMULA"
    MINIMUM_LOWERED = "MINIMUM_LOWERED"
    # features and postings
    FEATURE_ON = "FEATURE_ON"
    FEATURE_OFF = "FEATURE_OFF"
    ALREADY_REVERSED = "ALREADY_REVERSED"
    NOT_REVERSIBLE = "NOT_REVERSIBLE"
    # closing
    MONTH_OPEN = "MONTH_OPEN"

    @property
    def meaning(self) -> str:
        return _TEXT[self][0]

    @property
    def what_to_do(self) -> str:
        return _TEXT[self][1]

    @property
    def retry(self) -> bool:
        """True if the same record can be taken in later, once its cause is mended (`fentan retry`)."""
        return self in _RETRY


_RETRY = {Reason.UNKNOWN_NUMBER, Reason.NO_PLAN, Reason.CLOCK_SKEW, Reason.TOO_LATE, Reason.DURATION_LIMIT}

_TEXT: dict[Reason, tuple[str, str]] = {
    Reason.UNREADABLE: (
        "the bytes are not a record",
        "mend the file or its mapping at the source and send the record again",
    ),
    Reason.MISSING_FIELD: (
        "a required field is missing",
        "add the field at the source and send the record again",
    ),
    Reason.BAD_NUMBER: (
        "the service number is malformed",
        "send ten digits that begin with 400, without an area code",
    ),
    Reason.UNKNOWN_NUMBER: (
        "nobody added this number",
        "send add_number and its contract, then `fentan retry`",
    ),
    Reason.NO_PLAN: (
        "the number was not active at the start of the call",
        "send the activation that covers it, then `fentan retry`",
    ),
    Reason.BAD_INTERVAL: (
        "the call's times contradict each other or its duration",
        "correct the record at the source and send it again",
    ),
    Reason.DURATION_LIMIT: (
        "the call is longer than any call may be",
        "check the switch's record; raise `duration_limit_h` if it is right, then `fentan retry`",
    ),
    Reason.CLOCK_SKEW: (
        "the call or command lies in the future",
        "set the switch's clock; once the time has come, `fentan retry` takes the call, a command is sent again",
    ),
    Reason.TOO_LATE: (
        "the call is older than the window for late calls",
        "raise `late_months` in the price book if it must be billed, then `fentan retry`",
    ),
    Reason.DUPLICATE: ("this id was charged before, with the same content", "nothing: it is charged once"),
    Reason.CONFLICTING_DUPLICATE: (
        "this id was charged before, with other content",
        "find out which is right; the first stands",
    ),
    Reason.BAD_VALUE: (
        "a value is outside its closed list or its bounds",
        "correct the value and send the command again",
    ),
    Reason.UNKNOWN_KIND: ("there is no such command", "see the list of commands in docs/commands.md"),
    Reason.BAD_ID: (
        "an id has characters that an account's name cannot hold",
        "use letters, digits, dot, dash or underscore, at most 64",
    ),
    Reason.ALREADY_EXISTS: ("it is registered already", "nothing, or choose another id"),
    Reason.UNKNOWN_PROVIDER: ("no such provider", "send register_provider first"),
    Reason.UNKNOWN_CUSTOMER: ("no such customer", "send register_customer first"),
    Reason.UNKNOWN_INTENT: ("no such intent form", "send submit_intent first"),
    Reason.UNKNOWN_PLAN: (
        "the price book has no such plan on that day",
        "use a plan of the price book, or add it there",
    ),
    Reason.UNKNOWN_FEATURE: ("there is no such feature", "use one of the closed list in docs/commands.md"),
    Reason.UNKNOWN_ACCOUNT: ("no such account", "write customer/ID or provider/ID of someone registered"),
    Reason.UNKNOWN_POSTING: ("no such posting", "look the posting_id up in the view postings"),
    Reason.NUMBER_TAKEN: ("the number is held or in use", "wait until it is free, or choose another number"),
    Reason.NUMBER_COOLING: ("the number was released a moment ago", "hold it once the cooling time is over"),
    Reason.HOLD_CONSECUTIVE: (
        "this provider's tree held the number in the cycle before",
        "hold it once the block has ended, or let another tree have it",
    ),
    Reason.INTENT_MISSING: (
        "a special number needs an approved intent form",
        "send submit_intent and approve_intent, and name the intent_id",
    ),
    Reason.NOT_HELD: (
        "the number is not held for this customer's provider",
        "send hold_number first; a hold that has ended must be renewed",
    ),
    Reason.BAD_STATE: ("the number's state does not allow this", "see the states in docs/numbers.md"),
    Reason.NOT_CONTRACTED: ("the number has no contract", "send sign_contract first"),
    Reason.DOCUMENTS_MISSING: (
        "required documents are missing",
        "send submit_documents with all documents of the price book's list",
    ),
    Reason.NOT_REAL_NAMED: (
        "the holder's real name is not approved",
        "send submit_documents and approve_real_name first",
    ),
    Reason.CUSTOMER_IN_ARREARS: (
        "the customer is in arrears",
        "send receive_payment that clears the arrears first",
    ),
    Reason.MINIMUM_BELOW_FORMULA: (
        "the minimum is below the base minimum at this rate",
        "leave `minimum` out or raise it",
    ),
    Reason.MINIMUM_LOWERED: ("a minimum can only be raised", "ask for at least the present minimum"),
    Reason.FEATURE_ON: ("the feature is on already", "nothing: it was charged once"),
    Reason.FEATURE_OFF: ("the feature is not on", "nothing"),
    Reason.ALREADY_REVERSED: ("the posting was reversed before", "nothing: it is reversed once"),
    Reason.NOT_REVERSIBLE: (
        "the ledger derives this posting itself",
        "correct its cause; it follows by itself",
    ),
    Reason.MONTH_OPEN: ("the month has not ended", "close it after its last day"),
}
