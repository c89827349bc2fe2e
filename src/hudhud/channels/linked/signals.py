"""Signals of the library and of callers to the connection's thread."""

from dataclasses import dataclass

from hudhud.channels.base import Account, Written
from hudhud.channels.linked.faults import FaultName


@dataclass(frozen=True, slots=True)
class QrShown:
    """A new QR code, which replaces the previous one."""

    code: str


@dataclass(frozen=True, slots=True)
class PairCodeGiven:
    """A pairing code, to type on the phone instead of scanning."""

    code: str


@dataclass(frozen=True, slots=True)
class Linked:
    """The phone accepted the link; the library now connects as `device`.

    A second signal with `device` follows the first one without.
    """

    device: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """Connected and logged in with this account."""

    account: Account
    device: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of `FAULTS` occurred; `seconds` is a ban's duration."""

    fault: FaultName
    detail: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call failed for lack of a connection that should exist."""


@dataclass(frozen=True, slots=True)
class WrittenByLid:
    """A message without a phone number, which must be looked up."""

    written: Written
    lid: str


@dataclass(frozen=True, slots=True)
class RestrictionChanged:
    """The set of people that the account can reach has changed."""


Signal = (
    QrShown | PairCodeGiven | Linked | Opened | Trouble | Doubt | WrittenByLid | RestrictionChanged
)
