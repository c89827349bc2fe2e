"""Send one claimed message and classify the result."""

from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from hudhud.channels.base import Account, Channel
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher, SealingError
from hudhud.core.database_lost import log_unusable
from hudhud.core.errors import (
    NoAccount,
    OwnNumber,
    PermanentFailure,
    Snoozed,
    TransientFailure,
)
from hudhud.core.phones import mask_phone
from hudhud.core.sentences import Sentence, say
from hudhud.db.engine import Database
from hudhud.messages.claimable import LAST_CALL_MS
from hudhud.messages.outcomes import Claimed, Failed, Misaddressed, Outcome, Returned, Sent
from hudhud.messages.queue import FIRST_RETRY_SECONDS, retry_delay
from hudhud.messages.templates.catalog import with_code
from hudhud.messages.templates.shipped import CODE_LINE
from hudhud.worker.accounts import Accounts

log = structlog.get_logger(__name__)

TOO_LATE = say("job.too_late")
NO_DATABASE = say("job.no_database")
BROKE = say("job.broke")


class MessageSender:
    """Sends claimed messages over one channel, without holding a database connection."""

    def __init__(
        self,
        database: Database,
        channel: Channel,
        cipher: CodeCipher,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._channel = channel
        self._accounts = Accounts(database, channel, clock)
        self._cipher = cipher
        self._clock = clock
        # The sandbox accepts thousands of messages per second, too many to log each one.
        self._log_sent = log.info if channel.checks_numbers else log.debug

    def send(self, message: Claimed) -> Outcome:
        """Send a message and return its outcome; errors become outcomes."""
        now = self._clock()
        if message.expires_at <= now + LAST_CALL_MS:
            return Returned(message.id, now, error=None, spends_attempt=False)
        try:
            provider_message_id = self._hand_over(message)
        except OwnNumber as error:
            outcome: Outcome = Misaddressed(message.id, error.sentence, self._clock())
        except (PermanentFailure, SealingError) as error:
            outcome = Failed(message.id, error.sentence, self._clock())
        except Snoozed as error:
            later = self._clock() + round(error.seconds * 1000)
            outcome = Returned(message.id, later, error.sentence, spends_attempt=False)
        except SQLAlchemyError as error:
            log_unusable(log.error, "the database cannot be used, trying again", error)
            later = self._clock() + round(FIRST_RETRY_SECONDS * 1000)
            outcome = Returned(message.id, later, NO_DATABASE, spends_attempt=False)
        except TransientFailure as error:
            outcome = self._retry_or_fail(message, error.sentence)
        except Exception:
            log.exception("unexpected error in a send", job=message.id)
            outcome = self._retry_or_fail(message, BROKE)
        else:
            outcome = Sent(message.id, provider_message_id, self._clock())
        self._log(message, outcome)
        return outcome

    def _hand_over(self, message: Claimed) -> str:
        """Send to the remembered account; ask for it if that does not exist (any more)."""
        text = self._text(message)
        account = self._accounts.remembered(message.phone)
        if account is not None:
            try:
                return self._send_to(account, message, text)
            except NoAccount:
                if not self._channel.checks_numbers:
                    raise
        return self._send_to(self._accounts.ask(message.phone), message, text)

    def _send_to(self, account: Account, message: Claimed, text: str) -> str:
        if message.expires_at <= self._clock() + LAST_CALL_MS:  # a check can take ten seconds
            raise Snoozed(TOO_LATE, 0)
        return self._channel.send(message.phone, account, text)

    def _text(self, message: Claimed) -> str:
        if CODE_LINE.search(message.body) is None:
            return message.body
        # For the type checker: a claim excludes messages without their code.
        assert message.verification_id is not None  # noqa: S101 -- see above
        assert message.code_sealed is not None  # noqa: S101 -- see above
        code = self._cipher.codes.open(message.verification_id, message.code_sealed)
        return with_code(message.body, code)

    def _retry_or_fail(self, message: Claimed, error: Sentence) -> Outcome:
        now = self._clock()
        later = now + round(retry_delay(message.attempts) * 1000)
        if later >= message.expires_at - LAST_CALL_MS:
            return Failed(message.id, error, now)
        return Returned(message.id, later, error, spends_attempt=True)

    def _log(self, message: Claimed, outcome: Outcome) -> None:
        if isinstance(outcome, Sent):
            write, event, error = self._log_sent, "sent", None
        elif isinstance(outcome, Failed):
            write, event, error = log.warning, "failed", outcome.error
        else:
            write, event, error = log.warning, "will be retried", outcome.error
        write(
            event,
            job=message.id,
            request_id=message.request_id,
            phone=mask_phone(message.phone),
            attempt=message.attempts,
            error=None if error is None else error.english(),
        )
