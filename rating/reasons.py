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
    CREDIT_ENDED = "CREDIT_ENDED"
    # providers and their cases
    PROVIDER_CLOSED = "PROVIDER_CLOSED"
    NOT_SUSPECTED = "NOT_SUSPECTED"
    ALREADY_SUSPECTED = "ALREADY_SUSPECTED"
    UNDER_SUSPICION = "UNDER_SUSPICION"
    NO_CONFIRMED_CASE = "NO_CONFIRMED_CASE"
    CASE_OPEN = "CASE_OPEN"
    NO_CASE = "NO_CASE"
    UNKNOWN_FINE = "UNKNOWN_FINE"
    FINE_SETTLED = "FINE_SETTLED"
    NO_OVERDUE_FINE = "NO_OVERDUE_FINE"
    # disputes, refunds, debts
    UNKNOWN_DISPUTE = "UNKNOWN_DISPUTE"
    NOT_DISPUTABLE = "NOT_DISPUTABLE"
    ALREADY_DISPUTED = "ALREADY_DISPUTED"
    DISPUTE_OPEN = "DISPUTE_OPEN"
    DISPUTE_SETTLED = "DISPUTE_SETTLED"
    REFUND_TOO_HIGH = "REFUND_TOO_HIGH"
    NOTHING_OWED = "NOTHING_OWED"
    # reclaiming and transfers
    NOT_LONG_IN_ARREARS = "NOT_LONG_IN_ARREARS"
    DISUSE_NOT_CONFIRMED = "DISUSE_NOT_CONFIRMED"
    SAME_PROVIDER = "SAME_PROVIDER"
    # closing
    MONTH_OPEN = "MONTH_OPEN"

    @property
    def meaning(self) -> str:
        return _TEXT[self][0]

    @property
    def what_to_do(self) -> str:
        return _TEXT[self][1]

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that say no; none where a value is just not there or not known."""
        return tuple(_RULES.get(self, "").split())

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
    Reason.CREDIT_ENDED: (
        "the credit that the plan's fee became has ended",
        "settle with the customer by receive_payment or refund",
    ),
    Reason.PROVIDER_CLOSED: (
        "the provider is closed",
        "let another provider do it; clear_suspicion or the reversal of its fine opens it again, a serious case never",
    ),
    Reason.NOT_SUSPECTED: ("no suspicion of the number is open", "send suspect_fraud first"),
    Reason.ALREADY_SUSPECTED: (
        "the number is under suspicion already",
        "send clear_suspicion or confirm_fraud",
    ),
    Reason.UNDER_SUSPICION: ("a suspicion of fraud holds it", "send clear_suspicion or confirm_fraud first"),
    Reason.NO_CONFIRMED_CASE: (
        "the provider has no confirmed case",
        "send confirm_fraud, then declare_serious",
    ),
    Reason.CASE_OPEN: (
        "the secondary sale was noticed already",
        "send confirm_rectified, or wait for its last day",
    ),
    Reason.NO_CASE: ("no secondary sale of the number is open", "send notice_secondary_sale first"),
    Reason.UNKNOWN_FINE: ("no such fine", "look its id up in the view fines"),
    Reason.FINE_SETTLED: (
        "the fine was paid or taken back",
        "nothing; to take a paid fine back, reverse its payment first",
    ),
    Reason.NO_OVERDUE_FINE: ("the provider has no overdue fine", "choose the reason that applies"),
    Reason.UNKNOWN_DISPUTE: ("no such dispute", "send open_dispute first"),
    Reason.NOT_DISPUTABLE: (
        "only charges for features can be disputed",
        "dispute the feature's own charge; other errors are corrected by reverse_posting",
    ),
    Reason.ALREADY_DISPUTED: ("the charge was disputed before", "nothing: a dispute is decided once"),
    Reason.DISPUTE_OPEN: ("the charge is disputed", "send settle_dispute"),
    Reason.DISPUTE_SETTLED: ("the dispute was decided", "nothing: its outcome stands"),
    Reason.REFUND_TOO_HIGH: ("more than can be given back", "ask for what is left of the money paid in"),
    Reason.NOTHING_OWED: ("the account owes nothing", "nothing"),
    Reason.NOT_LONG_IN_ARREARS: (
        "the arrears have not lasted long enough",
        "wait for long arrears, or reclaim at the customer's request",
    ),
    Reason.DISUSE_NOT_CONFIRMED: (
        "the customer has not said that the number is no longer used",
        "send confirm_disuse once he has",
    ),
    Reason.SAME_PROVIDER: ("the number is with this provider already", "nothing"),
    Reason.MONTH_OPEN: ("the month has not ended", "close it after its last day"),
}

_RULES: dict[Reason, str] = {
    Reason.UNREADABLE: "R-INV-1",
    Reason.MISSING_FIELD: "R-INV-1",
    Reason.BAD_NUMBER: "R-CALL-6",
    Reason.UNKNOWN_NUMBER: "R-CALL-3",
    Reason.NO_PLAN: "R-NUM-1",
    Reason.BAD_INTERVAL: "R-CALL-3",
    Reason.DURATION_LIMIT: "R-CALL-3",
    Reason.CLOCK_SKEW: "R-INV-1",
    Reason.TOO_LATE: "R-INV-6",
    Reason.DUPLICATE: "R-INV-6",
    Reason.CONFLICTING_DUPLICATE: "R-INV-6",
    Reason.NUMBER_TAKEN: "R-HOLD-1",
    Reason.NUMBER_COOLING: "R-HOLD-3",
    Reason.HOLD_CONSECUTIVE: "R-HOLD-2",
    Reason.INTENT_MISSING: "R-HOLD-4",
    Reason.UNKNOWN_INTENT: "R-HOLD-4",
    Reason.NOT_HELD: "R-HOLD-1",
    Reason.BAD_STATE: "R-NUM-1",
    Reason.NOT_CONTRACTED: "R-NUM-1",
    Reason.DOCUMENTS_MISSING: "R-NUM-2",
    Reason.NOT_REAL_NAMED: "R-NUM-1 R-NUM-3",
    Reason.CUSTOMER_IN_ARREARS: "R-ARR-1 R-ARR-2",
    Reason.MINIMUM_BELOW_FORMULA: "R-MIN-3",
    Reason.MINIMUM_LOWERED: "R-MIN-2 R-MIN-4 R-MIN-5",
    Reason.FEATURE_ON: "R-FEAT-3",
    Reason.FEATURE_OFF: "R-FEAT-3",
    Reason.ALREADY_REVERSED: "R-INV-3",
    Reason.NOT_REVERSIBLE: "R-INV-3",
    Reason.CREDIT_ENDED: "R-PLAN-2",
    Reason.MONTH_OPEN: "R-MIN-1",
    Reason.UNKNOWN_PLAN: "R-PLAN-1",
    Reason.UNKNOWN_FEATURE: "R-FEAT-1",
    Reason.UNKNOWN_POSTING: "R-INV-3",
    Reason.PROVIDER_CLOSED: "R-PEN-1 R-PEN-2 R-PEN-4",
    Reason.NOT_SUSPECTED: "R-PEN-1",
    Reason.ALREADY_SUSPECTED: "R-PEN-1",
    Reason.UNDER_SUSPICION: "R-PEN-1",
    Reason.NO_CONFIRMED_CASE: "R-PEN-2",
    Reason.CASE_OPEN: "R-PEN-3",
    Reason.NO_CASE: "R-PEN-3",
    Reason.UNKNOWN_FINE: "R-PEN-4",
    Reason.FINE_SETTLED: "R-PEN-4",
    Reason.NO_OVERDUE_FINE: "R-PEN-4",
    Reason.UNKNOWN_DISPUTE: "R-FEAT-2",
    Reason.NOT_DISPUTABLE: "R-FEAT-2",
    Reason.ALREADY_DISPUTED: "R-FEAT-2",
    Reason.DISPUTE_OPEN: "R-FEAT-2",
    Reason.DISPUTE_SETTLED: "R-FEAT-2",
    Reason.REFUND_TOO_HIGH: "R-PLAN-3",
    Reason.NOTHING_OWED: "R-NUM-4 R-ARR-2",
    Reason.NOT_LONG_IN_ARREARS: "R-NUM-5",
    Reason.DISUSE_NOT_CONFIRMED: "R-NUM-5",
    Reason.SAME_PROVIDER: "R-PEN-5",
}
"""Which rules a reason speaks for; the sentence beside it says which of them it is."""
