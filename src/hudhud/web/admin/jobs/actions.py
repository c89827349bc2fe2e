"""What admins and their scripts change: jobs, and the senders' sessions.

Every change is audited in its own transaction. A script gets JSON; a person's form is answered
with the page it stands on, which says what came of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy import Connection

from hudhud.auth.audit_log import Outcome, What
from hudhud.core.clock import now_ms
from hudhud.core.phones import parse_phone
from hudhud.core.plain_text import shortened
from hudhud.core.sentences import Sentence, say
from hudhud.messages import admission
from hudhud.senders import commands, records
from hudhud.verification import job_actions
from hudhud.verification.job_actions import Answer
from hudhud.web.admin.jobs.labels import REASONS
from hudhud.web.admin.login.guard import Actor, changer, wants_page
from hudhud.web.admin.ui.forms import fields_of, form_of
from hudhud.web.admin.ui.notices import Notice, Tone
from hudhud.web.admin.ui.render import STATUS_PAGE, see_other
from hudhud.web.admin.ui.translate import translate
from hudhud.web.admin.ui.view import View, view_of
from hudhud.web.api.verifications import job_number
from hudhud.web.http.request import AnyRequest
from hudhud.web.http.responses import answer
from hudhud.web.state import Parts, parts_of

DONE = 200
LONGEST_JOB = 40  # characters of what a request names; more digits than any job's number has


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a request to change something."""

    status_code: int
    sentence: Sentence

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return self.status_code == DONE

    def notice(self, view: View) -> Notice:
        """Return what a person reads."""
        tone: Tone = "ok" if self.is_done else "warn"
        return Notice(tone, translate(self.sentence, view.language))


Change = Callable[[Connection, Parts, Actor, int], Result]


@post("/admin/jobs/retry/{job:str}", include_in_schema=False)
async def retry(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Queue a failed job again."""
    change = _intervention(
        job_actions.retry, job, done="action.retried", refused="action.not_retried"
    )
    return await _change_job(request, change, what="retry", job=job)


@post("/admin/jobs/cancel/{job:str}", include_in_schema=False)
async def cancel(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Cancel a job that waits."""
    change = _intervention(
        job_actions.cancel, job, done="action.canceled", refused="action.not_canceled"
    )
    return await _change_job(request, change, what="cancel", job=job)


@post("/admin/jobs/retry-all", include_in_schema=False)
async def retry_all(request: AnyRequest) -> Response[Any]:
    """Queue all failed jobs again whose codes are valid."""

    def change(connection: Connection, parts: Parts, actor: Actor, now: int) -> Result:
        count = job_actions.retry_all(
            connection, who=actor.name, now=now, most=_room(connection, parts, now)
        )
        return Result(DONE, say("action.retried_all", count=count))

    return await _change_job(request, change, what="retry_all", job=None)


@post("/admin/whatsapp/reinitialize", include_in_schema=False)
async def reload_session(request: AnyRequest) -> Response[Any]:
    """Start a sender anew with its stored session."""
    actor = await changer(request)
    return await _ask(request, actor, "reload", what="reload", asked="action.reload_asked")


@post("/admin/whatsapp/logout-session", include_in_schema=False)
async def log_out(request: AnyRequest) -> Response[Any]:
    """Log a sender's device out; a new QR code follows."""
    actor = await changer(request)
    return await _ask(request, actor, "logout", what="logout_whatsapp", asked="action.logout_asked")


@post("/admin/whatsapp/pair-phone", include_in_schema=False)
async def pair_phone(request: AnyRequest) -> Response[Any]:
    """Ask for the eight characters that link the phone of a number."""
    actor = await changer(request)  # before the body is judged
    fields = await fields_of(request)
    phone = parse_phone("".join(fields.one("phoneNumber").split()).replace("-", ""))
    if phone is None:
        result = Result(400, say("action.not_a_number"))
        return await _respond_of_sender(request, result)
    return await _ask(
        request,
        actor,
        "pair_phone",
        what="pair_phone",
        asked="action.pairing_asked",
        argument=phone.number,
    )


@post("/admin/whatsapp/pause", include_in_schema=False)
async def pause(request: AnyRequest) -> Response[Any]:
    """Hold a sender's sending back."""

    def change(connection: Connection, sender: str, now: int) -> Result:
        if records.pause(connection, name=sender, now=now):
            return Result(DONE, say("action.paused", sender=sender))
        return Result(409, say("action.paused_already", sender=sender))

    return await _change_sender(request, await changer(request), change, what="pause")


@post("/admin/whatsapp/resume", include_in_schema=False)
async def resume(request: AnyRequest) -> Response[Any]:
    """Let a sender's sending go on."""

    def change(connection: Connection, sender: str, _now: int) -> Result:
        if records.resume(connection, name=sender):
            return Result(DONE, say("action.resumed", sender=sender))
        return Result(409, say("action.not_paused", sender=sender))

    return await _change_sender(request, await changer(request), change, what="resume")


def _room(connection: Connection, parts: Parts, now: int) -> int | None:
    """Return how many more messages can arrive in time; None where there is no pace."""
    settings = parts.settings
    room = admission.room(
        connection,
        settings,
        channel=settings.channel,
        validity=settings.otp_ttl_seconds,
        now=now,
    )
    return None if room is None else room.places(settings.otp_ttl_seconds)


class _Intervene(Protocol):
    def __call__(self, connection: Connection, number: int, *, who: str, now: int) -> Answer: ...


def _intervention(intervene: _Intervene, job: str, *, done: str, refused: str) -> Change:
    def change(connection: Connection, _parts: Parts, actor: Actor, now: int) -> Result:
        found = intervene(connection, job_number(job), who=actor.name, now=now)
        return _job_result(found, job, done=done, refused=refused)

    return change


def _job_result(found: Answer, job: str, *, done: str, refused: str) -> Result:
    if found == "done":
        return Result(DONE, say(done, job=job))
    if found == "unknown":
        return Result(404, say("action.no_such_job", job=shortened(job, LONGEST_JOB)))
    return Result(409, say(refused, job=job, reason=REASONS[found]))


async def _ask(
    request: AnyRequest,
    actor: Actor,
    kind: commands.Kind,
    *,
    what: What,
    asked: str,
    argument: str | None = None,
) -> Response[Any]:
    """Pass a command on to a sender's process; what comes of it shows on its card."""

    def change(connection: Connection, sender: str, now: int) -> Result:
        commands.ask(connection, sender=sender, kind=kind, now=now, argument=argument)
        return Result(DONE, say(asked, sender=sender))

    return await _change_sender(request, actor, change, what=what)


async def _change_job(
    request: AnyRequest, change: Change, *, what: What, job: str | None
) -> Response[Any]:
    actor = await changer(request)
    result = await _carry_out(request, actor, change, what=what, subject=job)
    return await _respond(request, result, {"message": result.sentence.english()})


async def _change_sender(
    request: AnyRequest,
    actor: Actor,
    change: Callable[[Connection, str, int], Result],
    *,
    what: What,
) -> Response[Any]:
    """Change the sender that the body names, else this machine's own."""
    fields = await fields_of(request)
    sender = fields.one("sender") or parts_of(request).settings.sender_name
    if not records.may_be_name(sender):
        result = _no_such_sender(sender)
        return await _respond_of_sender(request, result)

    def change_known(connection: Connection, _parts: Parts, _actor: Actor, now: int) -> Result:
        if records.find(connection, sender) is None:
            return _no_such_sender(sender)
        return change(connection, sender, now)

    result = await _carry_out(request, actor, change_known, what=what, subject=sender)
    return await _respond_of_sender(request, result)


def _no_such_sender(name: str) -> Result:
    return Result(404, say("action.no_such_sender", sender=shortened(name, records.LONGEST_NAME)))


async def _carry_out(
    request: AnyRequest, actor: Actor, change: Change, *, what: What, subject: str | None
) -> Result:
    return await asyncio.to_thread(_write, parts_of(request), actor, change, what, subject)


def _write(parts: Parts, actor: Actor, change: Change, what: What, subject: str | None) -> Result:
    now = now_ms()
    with parts.database.write() as connection:
        result = change(connection, parts, actor, now)
        outcome: Outcome = "ok" if result.is_done else "refused"
        actor.note(connection, what, subject=subject, outcome=outcome, detail=result.sentence)
        parts.database.notify(connection)
    return result


async def _respond_of_sender(request: AnyRequest, result: Result) -> Response[Any]:
    body: dict[str, object] = {"success": result.is_done, "message": result.sentence.english()}
    return await _respond(request, result, body)


async def _respond(request: AnyRequest, result: Result, body: dict[str, object]) -> Response[Any]:
    if not wants_page(request):
        return answer(body, result.status_code)
    back = (await form_of(request)).one("back") or STATUS_PAGE
    return see_other(request, back, result.notice(view_of(request)))


action_routes = [retry, cancel, retry_all, reload_session, log_out, pair_phone, pause, resume]
