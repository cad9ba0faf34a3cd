"""Add-on features (R-FEAT-1 … 3): charged to the provider's deposit, once a period, on the day."""

from __future__ import annotations

from datetime import datetime

from rating import accounts
from rating.accounts import REVENUE_FEATURES, Command, Event, Posting, Refused
from rating.calendar import add_months, day_of, month_of, parse_day, start_of_day
from rating.commands import TEXT
from rating.decisions import fresh_id, note_decided
from rating.kind import Kind
from rating.price_book import FEATURES
from rating.reasons import Reason
from rating.registry import contracted_number, refuse_closed
from rating.state import Contract, Number, State

_MONTHS = {"month": 1, "year": 12}


def _known_feature(name: str) -> str:
    if name not in FEATURES:
        raise Refused(Reason.UNKNOWN_FEATURE, f"{name!r} is not one of {', '.join(FEATURES)}.")
    return name


def _enable_feature(state: State, command: Command) -> Event:
    number, contract = contracted_number(state, command.fields["service_number"])
    refuse_closed(state, contract.provider_id)
    feature = _known_feature(command.fields["feature"])
    if feature in number.features:
        raise Refused(
            Reason.FEATURE_ON, f"{feature} of {number.service_number} is on already and was charged once."
        )
    effect = {
        "service_number": number.service_number,
        "feature": feature,
        "since": day_of(command.at).isoformat(),
    }
    postings = _fee(state, number, contract, feature, command.at)
    return Event(command.command_id, command.kind, command.at, effect, postings)


def _fee(state: State, number: Number, contract: Contract, feature: str, at: datetime) -> tuple[Posting, ...]:
    price_hao = state.book.feature(feature, day_of(at)).price_hao
    if price_hao == 0:
        return ()
    return (
        Posting(
            "feature_fee",
            state.billed_month(month_of(at)),
            accounts.deposit(contract.provider_id),
            REVENUE_FEATURES,
            price_hao,
            number.service_number,
            contract.customer_id,
            contract.provider_id,
            reason=feature,
        ),
    )


def _feature_enabled(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    feature = event.effect["feature"]
    state.numbers.put(number.service_number, number._replace(features=number.features | {feature}))
    first = f"feature/{number.service_number}/{feature}/{event.effect['since']}/1"
    _schedule_next(state, event, 0, fresh_id(number, first).removeprefix(first))


def _schedule_next(state: State, event: Event, charged: int, again: str) -> None:
    """The next period's fee, counted from the day of enabling, if the price book has a period for it.

    `again` ends the keys of a feature that was charged before as enabled on the same day: `/2`, `/3` …
    """
    service_number, feature = event.effect["service_number"], event.effect["feature"]
    months = _MONTHS.get(state.book.feature(feature, day_of(event.at)).period)
    if months is None:
        return
    since = parse_day(event.effect["since"])
    key = f"{service_number}/{feature}/{since}/{charged + 1}{again}"
    state.schedule("feature_period", key, start_of_day(add_months(since, months * (charged + 1))))
    state.facts.put(_next_of(service_number, feature), key)


def _next_of(service_number: str, feature: str) -> str:
    """The fact that holds the key of a feature's next period."""
    return f"next period of {service_number}/{feature}"


def feature_period(state: State, key: str, at: datetime) -> Event:
    """A recurring feature's fee for the period that begins (R-FEAT-3)."""
    service_number, feature, since, period = key.split("/")[:4]
    number = state.numbers[service_number]
    contract = number.contracts[-1]
    effect = {"service_number": service_number, "feature": feature, "since": since, "period": int(period)}
    postings = _fee(state, number, contract, feature, at)
    return Event(f"feature/{key}", "charge_feature", at, effect, postings)


def feature_charged(state: State, event: Event) -> None:
    """Folds `charge_feature`: the period after it is due next."""
    effect = event.effect
    key = event.command_id.removeprefix("feature/")
    again = key.removeprefix("/".join(key.split("/")[:4]))
    if effect["period"] == 1:
        note_decided(state, effect["service_number"], event)
    state.unschedule("feature_period", key)
    state.facts.drop(_next_of(effect["service_number"], effect["feature"]))
    _schedule_next(state, event, effect["period"], again)


def _disable_feature(state: State, command: Command) -> Event:
    number, _ = contracted_number(state, command.fields["service_number"])
    feature = _known_feature(command.fields["feature"])
    if feature not in number.features:
        raise Refused(Reason.FEATURE_OFF, f"{feature} of {number.service_number} is not on.")
    effect = {"service_number": number.service_number, "feature": feature}
    return Event(command.command_id, command.kind, command.at, effect)


def _feature_disabled(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    feature = event.effect["feature"]
    state.numbers.put(number.service_number, number._replace(features=number.features - {feature}))
    _forget_period(state, number.service_number, feature)


def _forget_period(state: State, service_number: str, feature: str) -> None:
    fact = _next_of(service_number, feature)
    if fact in state.facts:
        state.unschedule("feature_period", state.facts[fact])
        state.facts.drop(fact)


def forget_features(state: State, number: Number) -> None:
    """No period of its features falls due any more: the number is reclaimed."""
    for feature in sorted(number.features):
        _forget_period(state, number.service_number, feature)


KINDS = {
    "enable_feature": Kind({"service_number": TEXT, "feature": TEXT}, _enable_feature, _feature_enabled),
    "disable_feature": Kind({"service_number": TEXT, "feature": TEXT}, _disable_feature, _feature_disabled),
}
