"""The limit of wrong codes for a number, over all codes of one key.

Without it, each new send would give a guesser new attempts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from hudhud.auth.caller import Caller
from hudhud.verification.limits.rate_limits import (
    Counts,
    Limit,
    Limits,
    TooManyWrongCodes,
    for_each_number,
)


class WrongCodes:
    """The counts of a group of checks, whose numbers are locked."""

    def __init__(self, limits: Limits, people: Mapping[str, Collection[str]], now: int) -> None:
        """`people` has the numbers of each number's account."""
        self._limits = limits
        self._people = people
        self._counts = Counts(now)

    def read(self, connection: Connection, checks: Iterable[tuple[Row[Any], Caller]]) -> None:
        """Read the counts of the checked verifications, each with the caller of its check."""
        limits = [limit for row, caller in checks for limit in self._limits_of(row, caller)]
        self._counts.read(connection, {limit.subject: limit for limit in limits})

    def refuse(self, row: Row[Any], caller: Caller) -> None:
        """Raise TooManyWrongCodes if too many were typed for the verification's number.

        A link is exempt: its code exists only after a message from the number itself.
        """
        left = self._counts.left(self._limits_of(row, caller))
        if row.link_mode is None and any(policy.remaining == 0 for policy in left):
            raise TooManyWrongCodes(left)

    def add(self, row: Row[Any], caller: Caller) -> None:
        """Count a wrong code."""
        for limit in self._limits_of(row, caller):
            self._counts.add(limit)

    def write(self, connection: Connection) -> None:
        """Store the new counts."""
        self._counts.write(connection)

    def _limits_of(self, row: Row[Any], caller: Caller) -> Sequence[Limit]:
        limits = self._limits.wrong_codes_of(caller, row.api_key, row.phone)
        return for_each_number(limits, row.phone, self._people.get(row.phone, {row.phone}))
