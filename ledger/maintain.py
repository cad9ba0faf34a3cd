"""Stub until maintenance lands."""

from ledger.log import Log


def housekeep(log: Log) -> None:
    """Nothing yet."""
