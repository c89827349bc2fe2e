"""Every error Hudhud raises on purpose.

HudhudError
├── SettingsError          a setting is wrong: the start stops with this one line
├── StartRefused           the database or the data folder does not fit this start
├── BadRequest             the caller's input is wrong; nothing was stored
├── QueueUnavailable       nothing was stored; retryable after `retry_after` seconds
├── CommandFailed          what an operator asked could not be done
└── SendFailed             one message was not handed over
    ├── PermanentFailure   never retried: the number cannot be reached
    ├── TransientFailure   retried with backoff while the code is valid
    └── Snoozed            retried later without spending an attempt
"""


class HudhudError(Exception):
    """Base of all deliberate errors; the text is written for the person who reads it."""


class SettingsError(HudhudError):
    """A setting is missing or wrong; the text names it and says what to write."""


class StartRefused(HudhudError):
    """Starting would do harm; the text says what was found and what to do now."""


class BadRequest(HudhudError):
    """The caller's input is wrong; the text is the answer's `message`."""


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

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds
