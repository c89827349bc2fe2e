"""Every error Hudhud raises on purpose.

HudhudError
├── SettingsError          a setting is wrong: the start stops with this one line
├── StartRefused           the database or the data folder does not fit this start
├── Refused                what the caller asked is not done; `word` is stable
│   ├── BadRequest         the caller's input is wrong; nothing was stored
│   ├── NotAllowed         this key, address or country may not
│   ├── NotFound           there is no such thing, or it is another key's
│   ├── Conflict           in its present state that cannot be done
│   ├── Contradiction      it contradicts what was asked before
│   ├── Gone               its time is over
│   ├── NotReady           something that it needs is not there yet
│   └── TooMany            a limit is reached; retryable after `retry_after` seconds
├── QueueUnavailable       nothing was stored; retryable after `retry_after` seconds
├── CommandFailed          what an operator asked could not be done
└── SendFailed             one message was not handed over
    ├── PermanentFailure   never retried: the number cannot be reached
    ├── TransientFailure   retried with backoff while the code is valid
    └── Snoozed            retried later without spending an attempt
"""

from hudhud.core.sentences import Sentence, other


class HudhudError(Exception):
    """Base of all deliberate errors; the text is written for the person who reads it.

    What is stored, or shown in several languages, is raised as a `Sentence`; `str` is its English.
    """

    def __init__(self, said: Sentence | str) -> None:
        self.sentence = said if isinstance(said, Sentence) else other(said)
        super().__init__(self.sentence.english())


class SettingsError(HudhudError):
    """A setting is missing or wrong; the text names it and says what to write."""


class StartRefused(HudhudError):
    """Starting would do harm; the text says what was found and what to do now."""


class Refused(HudhudError):
    """The text is the answer's `message`, `word` its `error`, which programs read.

    Without a word the answer has none, as that of the earlier application.
    """

    def __init__(self, said: Sentence | str, word: str | None = None) -> None:
        super().__init__(said)
        self.word = word


class BadRequest(Refused):
    """The caller's input is wrong."""


class NotAllowed(Refused):
    """This key, address or country may not."""


class NotFound(Refused):
    """There is no such thing, or it is another key's."""


class Conflict(Refused):
    """In its present state that cannot be done."""


class Contradiction(Refused):
    """It contradicts what was asked before under the same Idempotency-Key."""


class Gone(Refused):
    """Its time is over."""


class NotReady(Refused):
    """Something that it needs is not there yet; an admin's action is asked for."""


class TooMany(Refused):
    """A limit is reached; it may be tried again after `retry_after` seconds, None: never."""

    def __init__(self, sentence: str, word: str, retry_after: int | None) -> None:
        super().__init__(sentence, word)
        self.retry_after = retry_after


class QueueUnavailable(HudhudError):
    """The request was not stored and may be sent again after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: int = 5) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class CommandFailed(HudhudError):
    """What an operator asked could not be done; the text says why."""


class SendFailed(HudhudError):
    """A message was not handed over; the subclass says what follows."""


class PermanentFailure(SendFailed):
    """The message can never arrive: it fails now."""


class TransientFailure(SendFailed):
    """The message may arrive on another try: it is retried with backoff."""


class Snoozed(SendFailed):
    """Not the message's fault (sender offline or refused): wait `seconds`, spend no attempt."""

    def __init__(self, said: Sentence | str, seconds: float) -> None:
        super().__init__(said)
        self.seconds = seconds
