"""Deliver events to webhooks in a separate thread.

Slow receivers therefore delay no other work. The thread runs an event loop that only posts;
database calls run in other threads. Several machines may do this at once: each claims different
deliveries.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from standardwebhooks import Webhook

from hudhud import __version__
from hudhud.core.clock import now_ms
from hudhud.core.crypto import Cipher, SealingError
from hudhud.core.database_lost import log_unusable
from hudhud.core.sentences import say
from hudhud.db.doorbell import Doorbell
from hudhud.db.engine import Database
from hudhud.webhooks import deliveries, endpoints, retry_policy
from hudhud.webhooks.address_policy import AddressPolicy
from hudhud.webhooks.delivery_states import (
    ClaimedWebhook,
    Delivered,
    NextDue,
    NotDelivered,
    Released,
    WebhookOutcome,
)
from hudhud.webhooks.http_client import EndpointAnswer, WebhookClient

MOST_AT_ONCE = 100
MOST_TO_ONE = 10
MOST_TO_A_FAILING_ONE = 1  # endpoints that do not answer must not block the others
RETRIED_AT_ONCE = 100
GONE = 410
ANSWERED_GONE = say("webhook.gone")
SECRET_LOST = say("webhook.secret_lost")
OUR_FAULT = say("webhook.our_fault")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and waits in seconds."""

    retry_waits: Sequence[float] = retry_policy.RETRY_WAITS
    answer: float = 15.0
    lease: float = deliveries.LEASE_MS / 1000
    idle: float = 1.0
    """How often the dispatcher looks for work, and retries after an error."""
    gather: float = 0.02
    """Pause to collect deliveries and outcomes for one transaction."""
    stop: float = 3.0


@dataclass(frozen=True, slots=True)
class _Round:
    """Result of a round: claimed deliveries, and seconds until the next."""

    claimed: Sequence[ClaimedWebhook]
    wait: float
    has_endpoints: bool


class Dispatcher:
    """Claims due deliveries, posts `most_at_once` at a time, and records outcomes."""

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        address_policy: AddressPolicy,
        timing: Timing | None = None,
        *,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._address_policy = address_policy
        self._timing = timing or Timing()
        self._most_at_once = most_at_once
        self._outcomes: list[WebhookOutcome] = []
        self._tasks: dict[asyncio.Task[None], ClaimedWebhook] = {}
        self._held_until: dict[int, int] = {}
        self._repaired: set[int] = set()
        self._retries: list[int] = []
        self._has_endpoints = False

    def run(self, stopping: threading.Event) -> None:
        """Deliver until `stopping`, then wait `timing.stop` seconds for current attempts."""
        asyncio.run(self._work(stopping))

    async def _work(self, stopping: threading.Event) -> None:
        self._wake = asyncio.Event()
        self._client: WebhookClient | None = None
        listening = asyncio.create_task(self._listen(stopping))
        while not stopping.is_set():
            self._wake.clear()
            wait = await self._next_round()
            await asyncio.sleep(self._timing.gather)
            await self._sleep(wait)
        await self._wind_up()
        await listening

    async def _next_round(self) -> float:
        """Record, claim and start attempts; return the seconds until the next round."""
        outcomes, self._outcomes = self._outcomes, []
        busy = Counter(claimed.endpoint_id for claimed in self._tasks.values())
        try:
            done = await asyncio.to_thread(self._exchange, outcomes, busy)
        except Exception as error:
            self._outcomes = outcomes + self._outcomes
            _log_error(error)
            return self._timing.idle
        self._has_endpoints = done.has_endpoints
        for claimed in done.claimed:
            task = asyncio.create_task(self._attempt(claimed))
            self._tasks[task] = claimed
            task.add_done_callback(self._finish)
        return done.wait

    def _finish(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _listen(self, stopping: threading.Event) -> None:
        """Wake the loop at changes of the database, while there are endpoints."""
        with closing(self._database.doorbell()) as doorbell:
            while not stopping.is_set():
                if not self._has_endpoints:
                    await asyncio.sleep(self._timing.idle)
                elif await self._hears(doorbell):
                    self._wake.set()
                    await asyncio.sleep(self._timing.gather)

    async def _hears(self, doorbell: Doorbell) -> bool:
        try:
            return await asyncio.to_thread(doorbell.wait, self._timing.idle)
        except Exception as error:
            _log_error(error)
            await asyncio.sleep(self._timing.idle)
            return False

    def _exchange(self, outcomes: Sequence[WebhookOutcome], busy: Mapping[int, int]) -> _Round:
        """Record outcomes, and claim due deliveries up to the limits."""
        now = now_ms()
        with self._database.read() as connection:
            due = deliveries.next_due(connection)
            while self._repaired:
                endpoint = self._repaired.pop()
                self._retries += deliveries.find_retries(connection, endpoint, now=now)
        spare = self._spare(due, busy, now)
        claimed: Sequence[ClaimedWebhook] = ()
        some = self._retries[:RETRIED_AT_ONCE]
        if outcomes or spare or some:
            with self._database.write() as connection:
                self._record(connection, outcomes, now)
                deliveries.retry_now(connection, some, now=now)
                claimed = deliveries.claim(
                    connection, spare=spare, now=now, lease_ms=round(self._timing.lease * 1000)
                )
            del self._retries[: len(some)]
        # Recorded outcomes may have made others due; claimed ones may not have been all.
        wait = 0.0 if outcomes or claimed or some else self._wait(due, busy, now)
        return _Round(claimed, wait, has_endpoints=bool(due))

    def _spare(self, due: Sequence[NextDue], busy: Mapping[int, int], now: int) -> dict[int, int]:
        """Return how many more deliveries to start, by endpoint with due ones."""
        left = self._most_at_once - sum(busy.values())
        spare = {}
        for one in sorted(due, key=lambda one: one.at or 0):
            places = min(left, _places(one, busy))
            begins_at = self._begins_at(one)
            if places > 0 and begins_at is not None and begins_at <= now:
                spare[one.endpoint_id] = places
                left -= places
        return spare

    def _wait(self, due: Sequence[NextDue], busy: Mapping[int, int], now: int) -> float:
        """Return the seconds until a delivery can start, unless one ends earlier."""
        if sum(busy.values()) >= self._most_at_once:
            return self._timing.idle
        times = [self._begins_at(one) for one in due if _places(one, busy) > 0]
        waits = [(at - now) / 1000 for at in times if at is not None]
        return max(0.0, min([self._timing.idle, *waits]))

    def _begins_at(self, one: NextDue) -> int | None:
        """Return when a delivery is due, but not before the receiver's Retry-After."""
        return None if one.at is None else max(one.at, self._held_until.get(one.endpoint_id, 0))

    def _record(self, connection: Connection, outcomes: Sequence[WebhookOutcome], now: int) -> None:
        changes = deliveries.record(connection, outcomes, now=now)
        # Only the status: the receiver's answer may repeat the request.
        answers = {one.claimed.endpoint_id: one.status for one in _failures(outcomes)}
        for endpoint in changes.failing:
            log.warning("webhook deliveries fail", endpoint=endpoint, status=answers[endpoint])
        self._repaired.update(changes.repaired)
        for endpoint in changes.recovered:
            log.info("webhook deliveries arrive again", endpoint=endpoint)
        for failed in _failures(outcomes):
            _apply_response(connection, failed, now)

    async def _attempt(self, claimed: ClaimedWebhook) -> None:
        try:
            answer = await self._post(claimed)
        except asyncio.CancelledError:
            self._outcomes.append(Released(claimed, now_ms()))
            raise
        except SealingError:
            answer = EndpointAnswer(None, SECRET_LOST)
        except Exception:
            log.exception("unexpected error in a webhook delivery", delivery=claimed.id)
            answer = EndpointAnswer(None, OUR_FAULT)
        self._outcomes.append(self._outcome(claimed, answer, now_ms()))

    async def _post(self, claimed: ClaimedWebhook) -> EndpointAnswer:
        if self._client is None:
            self._client = WebhookClient(
                self._address_policy,
                most_connections=self._most_at_once,
                answer_seconds=self._timing.answer,
            )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Hudhud/{__version__}",
            **self._signed(claimed, datetime.now(UTC)),
        }
        return await self._client.post(claimed.url, headers, claimed.body.encode())

    def _signed(self, claimed: ClaimedWebhook, at: datetime) -> dict[str, str]:
        """Return the headers of Standard Webhooks, one signature per signing secret.

        The timestamp is that of the attempt, because receivers reject old ones as replayed.
        Raises SealingError.
        """
        secrets = [self._cipher.open(claimed.url, sealed) for sealed in claimed.secrets_sealed]
        signatures = [
            Webhook(secret).sign(claimed.event_id, at, claimed.body) for secret in secrets
        ]
        return {
            "webhook-id": claimed.event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _outcome(self, claimed: ClaimedWebhook, answer: EndpointAnswer, now: int) -> WebhookOutcome:
        if answer.error is None and answer.status is not None:
            return Delivered(claimed, answer.status, now)
        asked = answer.retry_after
        if asked is not None:
            asked = min(asked, retry_policy.LONGEST_ASKED_SECONDS)
            self._held_until[claimed.endpoint_id] = now + round(asked * 1000)
        retry_at = retry_policy.retry_at(
            claimed.attempts + 1, self._timing.retry_waits, asked=asked, now=now
        )
        error = answer.error or OUR_FAULT
        return NotDelivered(claimed, answer.status, error, retry_at, now)

    async def _wind_up(self) -> None:
        """Wait for current attempts, release the unfinished ones, and record both."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._timing.stop)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
        try:
            await asyncio.to_thread(self._write_last)
        except SQLAlchemyError as error:
            _log_error(error)

    def _write_last(self) -> None:
        if self._outcomes:
            with self._database.write() as connection:
                self._record(connection, self._outcomes, now_ms())


def _places(one: NextDue, busy: Mapping[int, int]) -> int:
    """Return how many more attempts an endpoint may have at once."""
    most = MOST_TO_A_FAILING_ONE if one.is_failing else MOST_TO_ONE
    return most - busy.get(one.endpoint_id, 0)


def _failures(outcomes: Sequence[WebhookOutcome]) -> list[NotDelivered]:
    return [one for one in outcomes if isinstance(one, NotDelivered)]


def _apply_response(connection: Connection, failed: NotDelivered, now: int) -> None:
    """Disable an endpoint that answered 410, and log a final failure."""
    claimed = failed.claimed
    if failed.status == GONE:
        if endpoints.disable(connection, claimed.endpoint_id, reason=ANSWERED_GONE, now=now):
            log.warning("webhook endpoint disabled: it answered 410", endpoint=claimed.endpoint_id)
    elif failed.retry_at is None:
        log.error(
            "webhook delivery failed after its last attempt",
            endpoint=claimed.endpoint_id,
            event_id=claimed.event_id,
        )


def _log_error(error: Exception) -> None:
    if isinstance(error, SQLAlchemyError):
        log_unusable(log.error, "webhook deliveries wait for the database; trying again", error)
    else:
        log.error("unexpected error in webhook deliveries; trying again", exc_info=error)
