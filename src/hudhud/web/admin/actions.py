"""What admins and their scripts change: jobs, and the senders' sessions.

Every change is audited in its own transaction. A script gets JSON; a person's form is answered
with the page it stands on, which says what came of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy import Connection

from hudhud import audit, commands, interventions, senders
from hudhud.audit import What
from hudhud.clock import now_ms
from hudhud.interventions import Answer
from hudhud.phones import parse_phone
from hudhud.web.admin.forms import form_of
from hudhud.web.admin.guard import Actor, changer, wants_page
from hudhud.web.admin.pages import HEADERS, Notice, see_other
from hudhud.web.admin.view import View, view_of
from hudhud.web.answers import answer
from hudhud.web.api import JOB_ID
from hudhud.web.parts import AnyRequest, Parts, parts_of

STATUS_PAGE = "/admin/status"
NOT_KEPT = {"Cache-Control": HEADERS["Cache-Control"]}
DONE = 200


def N_(message: str) -> str:  # noqa: N802 -- gettext's own name for: translated later
    """Mark a text for translation."""
    return message


NO_SUCH_JOB = N_("Job with ID {job} not found.")
RETRIED = N_("Job {job} has been successfully re-queued.")
NOT_RETRIED = N_("Job {job} cannot be retried: {reason}.")
CANCELED = N_("Job {job} has been canceled.")
NOT_CANCELED = N_("Job {job} cannot be canceled: {reason}.")
RETRIED_ALL = N_("Jobs re-queued: {count}.")
NO_SUCH_SENDER = N_("There is no sender named {sender}.")
RELOAD_ASKED = N_("Reload of sender {sender} was asked for.")
LOGOUT_ASKED = N_("Logout of sender {sender} was asked for; a new QR code follows.")
PAIRING_ASKED = N_("A code for linking sender {sender} was asked for.")
NOT_A_NUMBER = N_(
    "That is no phone number in international form, beginning with + and the country."
)
PAUSED = N_("Sender {sender} is paused. New codes are accepted and wait.")
PAUSED_ALREADY = N_("Sender {sender} is paused already.")
RESUMED = N_("Sender {sender} sends again.")
NOT_PAUSED = N_("Sender {sender} is not paused.")

REASONS: dict[Answer, str] = {
    "expired": N_("expired: ask for a new code"),
    "canceled": N_("canceled: ask for a new code"),
    "erased": N_("its code is erased: ask for a new code"),
    "not_failed": N_("it has not failed"),
    "not_queued": N_("it no longer waits"),
}


@dataclass(frozen=True, slots=True)
class Deed:
    """What came of a request to change something; `text` names what `values` hold."""

    status_code: int
    text: str
    values: dict[str, object] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return self.status_code == DONE

    @property
    def sentence(self) -> str:
        """What a script reads."""
        return self.text.format(**self.values)

    def notice(self, view: View) -> Notice:
        """Return what a person reads."""
        values = dict(self.values)
        if "reason" in values:
            values["reason"] = view.gettext(str(values["reason"]))
        text = view.gettext(self.text).format(**values)
        return Notice("ok" if self.is_done else "warn", text)


Change = Callable[[Connection, Parts, Actor, int], Deed]


@post("/admin/jobs/retry/{job:str}", include_in_schema=False)
async def retry(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Queue a failed job again."""

    def change(connection: Connection, _parts: Parts, actor: Actor, now: int) -> Deed:
        number = int(job) if JOB_ID.fullmatch(job) else 0
        found = interventions.retry(connection, number, who=actor.name, now=now)
        return _job_deed(found, job, done=RETRIED, refused=NOT_RETRIED)

    return await _change_job(request, change, what="retry", job=job)


@post("/admin/jobs/cancel/{job:str}", include_in_schema=False)
async def cancel(request: AnyRequest, job: FromPath[str]) -> Response[Any]:
    """Cancel a job that waits."""

    def change(connection: Connection, _parts: Parts, actor: Actor, now: int) -> Deed:
        number = int(job) if JOB_ID.fullmatch(job) else 0
        found = interventions.cancel(connection, number, who=actor.name, now=now)
        return _job_deed(found, job, done=CANCELED, refused=NOT_CANCELED)

    return await _change_job(request, change, what="cancel", job=job)


@post("/admin/jobs/retry-all", include_in_schema=False)
async def retry_all(request: AnyRequest) -> Response[Any]:
    """Queue all failed jobs again whose codes are valid."""

    def change(connection: Connection, _parts: Parts, actor: Actor, now: int) -> Deed:
        count = interventions.retry_all(connection, who=actor.name, now=now)
        return Deed(DONE, RETRIED_ALL, {"count": count})

    return await _change_job(request, change, what="retry_all", job=None)


@post("/admin/whatsapp/reinitialize", include_in_schema=False)
async def reload_session(request: AnyRequest) -> Response[Any]:
    """Start a sender anew with its stored session."""
    return await _ask(request, "reload", what="reload", asked=RELOAD_ASKED)


@post("/admin/whatsapp/logout-session", include_in_schema=False)
async def log_out(request: AnyRequest) -> Response[Any]:
    """Log a sender's device out; a new QR code follows."""
    return await _ask(request, "logout", what="logout_whatsapp", asked=LOGOUT_ASKED)


@post("/admin/whatsapp/pair-phone", include_in_schema=False)
async def pair_phone(request: AnyRequest) -> Response[Any]:
    """Ask for the eight characters that link the phone of a number."""
    await changer(request)  # before the form is judged
    form = await form_of(request)
    phone = parse_phone("".join(form.one("phoneNumber").split()).replace("-", ""))
    if phone is None:
        deed = Deed(400, NOT_A_NUMBER)
        return await _respond(request, deed, {"success": False, "message": deed.sentence})
    return await _ask(
        request, "pair_phone", what="pair_phone", asked=PAIRING_ASKED, argument=phone.number
    )


@post("/admin/whatsapp/pause", include_in_schema=False)
async def pause(request: AnyRequest) -> Response[Any]:
    """Hold a sender's sending back."""

    def change(connection: Connection, sender: str, now: int) -> Deed:
        if senders.pause(connection, name=sender, now=now):
            return Deed(DONE, PAUSED, {"sender": sender})
        return Deed(409, PAUSED_ALREADY, {"sender": sender})

    return await _change_sender(request, change, what="pause")


@post("/admin/whatsapp/resume", include_in_schema=False)
async def resume(request: AnyRequest) -> Response[Any]:
    """Let a sender's sending go on."""

    def change(connection: Connection, sender: str, _now: int) -> Deed:
        if senders.resume(connection, name=sender):
            return Deed(DONE, RESUMED, {"sender": sender})
        return Deed(409, NOT_PAUSED, {"sender": sender})

    return await _change_sender(request, change, what="resume")


def _job_deed(found: Answer, job: str, *, done: str, refused: str) -> Deed:
    if found == "done":
        return Deed(DONE, done, {"job": job})
    if found == "unknown":
        return Deed(404, NO_SUCH_JOB, {"job": job})
    return Deed(409, refused, {"job": job, "reason": REASONS[found]})


async def _ask(
    request: AnyRequest,
    kind: commands.Kind,
    *,
    what: What,
    asked: str,
    argument: str | None = None,
) -> Response[Any]:
    """Pass a command on to a sender's process; what comes of it shows on its card."""

    def change(connection: Connection, sender: str, now: int) -> Deed:
        commands.ask(connection, sender=sender, kind=kind, now=now, argument=argument)
        return Deed(DONE, asked, {"sender": sender})

    return await _change_sender(request, change, what=what)


async def _change_job(
    request: AnyRequest, change: Change, *, what: What, job: str | None
) -> Response[Any]:
    deed = await _carry_out(request, change, what=what, subject=job)
    return await _respond(request, deed, {"message": deed.sentence})


async def _change_sender(
    request: AnyRequest, change: Callable[[Connection, str, int], Deed], *, what: What
) -> Response[Any]:
    """Change the sender that the form names, else this machine's own."""
    form = await form_of(request)
    sender = form.one("sender") or parts_of(request).settings.sender_name

    def change_known(connection: Connection, _parts: Parts, _actor: Actor, now: int) -> Deed:
        if senders.find(connection, sender) is None:
            return Deed(404, NO_SUCH_SENDER, {"sender": sender})
        return change(connection, sender, now)

    deed = await _carry_out(request, change_known, what=what, subject=sender)
    return await _respond(request, deed, {"success": deed.is_done, "message": deed.sentence})


async def _carry_out(
    request: AnyRequest, change: Change, *, what: What, subject: str | None
) -> Deed:
    actor = await changer(request)
    return await asyncio.to_thread(_write, parts_of(request), actor, change, what, subject)


def _write(parts: Parts, actor: Actor, change: Change, what: What, subject: str | None) -> Deed:
    now = now_ms()
    with parts.database.write() as connection:
        deed = change(connection, parts, actor, now)
        audit.note(
            connection,
            who=actor.name,
            address=actor.address,
            what=what,
            subject=subject,
            outcome="ok" if deed.is_done else "refused",
            detail=deed.sentence,
            now=now,
        )
        parts.database.ring(connection)
    return deed


async def _respond(request: AnyRequest, deed: Deed, body: dict[str, object]) -> Response[Any]:
    if not wants_page(request):
        return answer(body, deed.status_code, NOT_KEPT)
    back = (await form_of(request)).one("back") or STATUS_PAGE
    return see_other(request, back, deed.notice(view_of(request)))


action_routes = [retry, cancel, retry_all, reload_session, log_out, pair_phone, pause, resume]
