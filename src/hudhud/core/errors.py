"""The errors that Hudhud raises on purpose.

HudhudError
├── SettingsError          a setting is wrong; printed as one line, then the start stops
├── StartRefused           the database or the data folder does not fit this start
├── Refused                the request is refused; `word` is a stable identifier
│   ├── BadRequest         the caller's input is wrong; nothing was stored
│   ├── UnsupportedBody    the body has a media type that is not read
│   ├── NotAllowed         this key, address or country is not allowed
│   ├── NotFound           the object does not exist or belongs to another key
│   ├── Conflict           the object's state does not allow the request
│   ├── Contradiction      the Idempotency-Key was used with a different request
│   ├── Gone               the object has expired
│   ├── NotReady           a requirement is missing until an admin acts
│   └── TooMany            a limit is reached; retryable after `retry_after` seconds
├── QueueUnavailable       nothing was stored; retryable after `retry_after` seconds
│   └── SenderRestricted   no sender may write to this stranger before the code ends
├── DatabaseLost           an admin must restore the database (`database_lost.py`)
├── CommandFailed          an operator's command failed
└── SendFailed             a message was not handed to WhatsApp
    ├── PermanentFailure   never retried: the number cannot be reached
    │   ├── NoAccount      the number has no account
    │   └── OwnNumber      the number is the sender's own
    ├── TransientFailure   retried with backoff while the code is valid
    └── Snoozed            retried later without counting an attempt
"""

import math

from hudhud.core.clock import SECOND_MS, iso
from hudhud.core.sentences import Sentence, other, say


class HudhudError(Exception):
    """Base class of Hudhud's own errors; the text addresses its reader.

    Pass a `Sentence` for errors that are stored or translated; `str()` returns its English text.
    """

    def __init__(self, said: Sentence | str) -> None:
        self.sentence = said if isinstance(said, Sentence) else other(said)
        super().__init__(self.sentence.english())


class SettingsError(HudhudError):
    """A setting is missing or wrong; the text names the fix."""


class StartRefused(HudhudError):
    """Starting would do harm; the text says why and what to do."""


class Refused(HudhudError):
    """A refused request.

    The text becomes `message` in the answer, `word` becomes `error`. Without a word the answer has
    no `error`, like those of the earlier application.
    """

    def __init__(self, said: Sentence | str, word: str | None = None) -> None:
        super().__init__(said)
        self.word = word


class BadRequest(Refused):
    """The caller's input is wrong."""


class UnsupportedBody(Refused):
    """The request's body has a media type that is not read."""


class NotAllowed(Refused):
    """This key, address or country is not allowed."""


class NotFound(Refused):
    """The object does not exist or belongs to another key."""


class Conflict(Refused):
    """The object's state does not allow the request."""


class Contradiction(Refused):
    """The same Idempotency-Key was used before with a different request."""


class Gone(Refused):
    """The object has expired."""


class NotReady(Refused):
    """A requirement is missing until an admin acts."""


class TooMany(Refused):
    """A limit is reached; retryable after `retry_after` seconds, or never if None."""

    def __init__(self, sentence: str, word: str, retry_after: int | None) -> None:
        super().__init__(sentence, word)
        self.retry_after = retry_after


class QueueUnavailable(HudhudError):
    """The request was not stored; retryable after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class SenderRestricted(QueueUnavailable):
    """No sender may write to strangers before `until` (milliseconds), and the code ends earlier.

    `reaches_known` is set if people who write first are reached meanwhile.
    """

    def __init__(self, until: int, *, now: int, reaches_known: bool) -> None:
        seconds = max(1, math.ceil((until - now) / SECOND_MS))
        super().__init__(f"every sender is restricted until {iso(until)}", seconds)
        self.until = until
        self.reaches_known = reaches_known


class CommandFailed(HudhudError):
    """An operator's command failed; the text says why."""


class SendFailed(HudhudError):
    """A message was not handed over; the subclass decides about retries."""


class PermanentFailure(SendFailed):
    """The message can never arrive: fail it."""


class NoAccount(PermanentFailure):
    """The number has no account."""

    def __init__(self) -> None:
        super().__init__(say("job.no_account"))


class OwnNumber(PermanentFailure):
    """The number is the sender's own, so the failure does not count against success."""

    def __init__(self) -> None:
        super().__init__(say("job.own_number"))


class TransientFailure(SendFailed):
    """The message may arrive on another try: retry with backoff."""


class Snoozed(SendFailed):
    """The message was not at fault: retry it without counting an attempt.

    For example, the sender is offline. Retry after `seconds`.
    """

    def __init__(self, said: Sentence | str, seconds: float) -> None:
        super().__init__(said)
        self.seconds = seconds
