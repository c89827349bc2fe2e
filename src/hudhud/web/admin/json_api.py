"""The dashboard's JSON API, with the names of the earlier application.

Requires a session or an API key of scope admin. No response contains a code.
"""

from typing import Any
from zoneinfo import ZoneInfo

from litestar import Response, get

from hudhud.core.clock import iso, iso_or_none, now_ms, seconds_or_none
from hudhud.core.errors import BadRequest
from hudhud.messages import statistics
from hudhud.messages.listing import Job
from hudhud.messages.states import CANCELED, DELIVERED, EXPIRED, FAILED, QUEUED, READ, SENDING, SENT
from hudhud.messages.statistics import RANGES, Period, QueueNumbers, Range
from hudhud.senders import overview, records
from hudhud.senders.overview import SenderCard
from hudhud.web.admin.jobs.query import JobList, parse_query, read_jobs
from hudhud.web.admin.login.guard import authenticate_reader
from hudhud.web.admin.ui.render_thread import in_render_thread
from hudhud.web.admin.ui.view import view_of
from hudhud.web.http.request import AnyRequest
from hudhud.web.http.responses import answer
from hudhud.web.state import AppState, state_of

USUAL_LIMIT = 20
NO_SENDER = "No sender has run here yet. Start one with: hudhud serve"
# The earlier application's words for a sender's states; all other states cannot send.
WHATSAPP_STATUS = {
    "connected": "READY",
    "paused": "READY",
    "pairing": "QR_REQUIRED",
    "starting": "CONNECTING",
    "reconnecting": "RECONNECTING",
    "logged_out": "LOGGED_OUT",
    "restricted": "RESTRICTED",
    "outdated": "OUTDATED",
}
DISCONNECTED = "DISCONNECTED"


@get("/admin/api/status-and-stats", include_in_schema=False)
async def status_and_stats(request: AnyRequest) -> Response[dict[str, Any]]:
    """Show the sender's state and the number of jobs by status."""
    await authenticate_reader(request)
    return answer(await in_render_thread(_status, state_of(request)))


@get("/admin/api/jobs", include_in_schema=False)
async def list_jobs(request: AnyRequest) -> Response[dict[str, Any]]:
    """List jobs, newest first."""
    actor = await authenticate_reader(request)
    query = parse_query(request.query_params, usual_limit=USUAL_LIMIT)
    found = await read_jobs(request, actor, query)
    return answer(await in_render_thread(_job_list, found))


@get("/admin/api/traffic", include_in_schema=False)
async def read_traffic(request: AnyRequest) -> Response[dict[str, Any]]:
    """Return the charts' data for `?range=` hour, day or month, in milliseconds."""
    await authenticate_reader(request)
    chosen = request.query_params.get("range", "day")
    if chosen not in RANGES:
        raise BadRequest(f"range: must be one of {', '.join(RANGES)}.")
    zone = view_of(request).zone
    found = await in_render_thread(_traffic, state_of(request), chosen, zone)
    return answer(found)


def _status(state: AppState) -> dict[str, Any]:
    now = now_ms()
    with state.database.read() as connection:
        cards = overview.cards(connection, now=now)
        numbers = statistics.numbers(
            connection, channel=state.sender.channel, now=now, mean_gap=state.sender.mean_gap
        )
    card = _own_card(cards, state.sender.name)
    return {
        "whatsappStatus": DISCONNECTED if card is None else _whatsapp_status(card),
        "statusDetails": NO_SENDER if card is None else card.qr or card.detail.english(),
        "lastUpdated": iso(now if card is None else card.since),
        "stats": _stats(numbers, now),
        "senders": [_sender(card) for card in cards],
    }


def _own_card(cards: list[SenderCard], name: str) -> SenderCard | None:
    return next((card for card in cards if card.name == name), next(iter(cards), None))


def _whatsapp_status(card: SenderCard) -> str:
    return WHATSAPP_STATUS.get(card.state, DISCONNECTED)


def _sender(card: SenderCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "channel": card.channel,
        "whatsappStatus": _whatsapp_status(card),
        "state": card.state,
        "since": iso(card.since),
        "details": card.detail.english(),
        "phoneNumber": card.phone,
        "paused": card.is_paused,
        "until": iso_or_none(card.until),
    }


def _stats(numbers: QueueNumbers, now: int) -> dict[str, Any]:
    counts = numbers.counts
    waits = numbers.oldest_waiting_at
    return {
        "pending": counts[QUEUED],
        "processing": counts[SENDING],
        "sent": counts[SENT] + counts[DELIVERED] + counts[READ],
        "failed": counts[FAILED] + counts[EXPIRED] + counts[CANCELED],
        "delivered": counts[DELIVERED] + counts[READ],
        "read": counts[READ],
        "expired": counts[EXPIRED],
        "canceled": counts[CANCELED],
        "oldestWaitingSeconds": None if waits is None else max(0, now - waits) / 1000,
        "expectedWaitSeconds": seconds_or_none(numbers.expected_wait_ms),
        "lastHour": _period(numbers.hour),
        "lastDay": _period(numbers.day),
    }


def _period(window: Period) -> dict[str, Any]:
    return {
        **{str(name): count for name, count in window.happened.items()},
        "successRate": window.success_rate,
        "medianSecondsToDelivery": seconds_or_none(window.median_ms),
    }


def _job_list(found: JobList) -> dict[str, Any]:
    query, total = found.query, found.total
    return {
        "jobs": [_job(job) for job in found.page.jobs],
        "pagination": {
            "currentPage": query.page,
            "totalPages": max(1, -(-total.count // query.limit)),
            "limit": query.limit,
            "totalJobs": total.count,
            "totalIsExact": total.is_exact,
            "nextCursor": found.page.older,
        },
        "codesSearched": query.chosen.searches_codes,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "phone_number": job.phone,
        "status": job.legacy_status,
        "delivery": job.status,
        "created_at": iso(job.created_at),
        "processed_at": iso_or_none(job.sent_at or job.finished_at),
        "error_message": None if job.error is None else job.error.english(),
        "attempts": job.attempts,
        "otp_expires_at": iso(job.expires_at),
        "sent_at": iso_or_none(job.sent_at),
        "delivered_at": iso_or_none(job.delivered_at),
        "read_at": iso_or_none(job.read_at),
        "finished_at": iso_or_none(job.finished_at),
        "sender": None if job.sender is None else records.name_in(job.sender),
        "can_retry": job.refusal is None,
    }


def _traffic(state: AppState, chosen: Range, zone: ZoneInfo) -> dict[str, Any]:
    with state.database.read() as connection:
        found = statistics.series(
            connection, state.past_times, chosen=chosen, zone=zone, now=now_ms()
        )
    return {
        "range": found.range,
        "starts": found.starts,
        "accepted": found.accepted,
        "sent": found.sent,
        "delivered": found.delivered,
        "failed": found.failed,
        "median": found.median,
        "p95": found.p95,
    }


json_routes = [status_and_stats, list_jobs, read_traffic]
