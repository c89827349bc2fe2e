"""Actions on jobs: retry one or all failed jobs, cancel a job."""

from typing import Any, Protocol

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy import Connection

from hudhud.auth.audit_log import What
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import say
from hudhud.messages import admission
from hudhud.senders.carriers import carriers
from hudhud.verification import job_actions
from hudhud.verification.job_actions import JobActionResult
from hudhud.web.admin.audited_change import DONE, Change, ChangeResult, carry_out, respond
from hudhud.web.admin.jobs.labels import REASONS
from hudhud.web.admin.login.guard import authenticate_changer
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.http.request import AnyRequest, job_number
from hudhud.web.state import AppState

LONGEST_JOB = 40  # characters; longer than any job's number


@post("/admin/jobs/retry/{job:str}", include_in_schema=False)
async def retry(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Queue a failed job again."""
    change = _intervention(
        job_actions.retry, job, done="action.retried", refused="action.not_retried"
    )
    return await _change_job(request, change, what="retry", job=job)


@post("/admin/jobs/cancel/{job:str}", include_in_schema=False)
async def cancel(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Cancel a waiting job."""
    change = _intervention(
        job_actions.cancel, job, done="action.canceled", refused="action.not_canceled"
    )
    return await _change_job(request, change, what="cancel", job=job)


@post("/admin/jobs/retry-all", include_in_schema=False)
async def retry_all(request: AnyRequest) -> Response[Any]:
    """Queue all failed jobs with valid codes again."""

    def change(connection: Connection, state: AppState, actor: Actor, now: int) -> ChangeResult:
        count = job_actions.retry_all(
            connection, who=actor.name, now=now, most=_room(connection, state, now)
        )
        return ChangeResult(DONE, say("action.retried_all", count=count))

    return await _change_job(request, change, what="retry_all", job=None)


def _room(connection: Connection, state: AppState, now: int) -> int | None:
    """Return how many messages can still arrive in time; None without pace."""
    sender, validity = state.sender, state.code_ttl_seconds
    room = admission.room(
        connection,
        channel=sender.channel,
        senders=carriers(connection, channel=sender.channel, now=now).alive,
        mean_gap=sender.mean_gap,
        validity=validity,
    )
    return None if room is None else room.places(validity)


class _Intervene(Protocol):
    def __call__(
        self, connection: Connection, number: int, *, who: str, now: int
    ) -> JobActionResult: ...


def _intervention(intervene: _Intervene, job: str, *, done: str, refused: str) -> Change:
    def change(connection: Connection, _parts: AppState, actor: Actor, now: int) -> ChangeResult:
        found = intervene(connection, job_number(job), who=actor.name, now=now)
        return _job_result(found, job, done=done, refused=refused)

    return change


def _job_result(found: JobActionResult, job: str, *, done: str, refused: str) -> ChangeResult:
    if found == "done":
        return ChangeResult(DONE, say(done, job=job))
    if found == "unknown":
        return ChangeResult(404, say("action.no_such_job", job=shortened(job, LONGEST_JOB)))
    return ChangeResult(409, say(refused, job=job, reason=REASONS[found]))


async def _change_job(
    request: AnyRequest, change: Change, *, what: What, job: str | None
) -> Response[Any]:
    actor = await authenticate_changer(request)
    result = await carry_out(request, actor, change, what=what, subject=job)
    return await respond(request, result, {"message": result.sentence.english()})


job_routes = [retry, cancel, retry_all]
