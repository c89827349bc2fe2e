"""Send a test code from the dashboard, and check the code that arrived."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, post
from sqlalchemy import Connection

from hudhud.core.crypto import SealingError
from hudhud.core.errors import (
    BadRequest,
    HudhudError,
    NotAllowed,
    QueueUnavailable,
    Refused,
    SenderRestricted,
    TooMany,
)
from hudhud.core.phones import Phone, mask_phone, parse_phone
from hudhud.core.sentences import Sentence, say
from hudhud.verification import trials
from hudhud.verification.codes import LONGEST_TYPED
from hudhud.verification.limits.rate_limits import LimitReached
from hudhud.web.admin.audited_change import DONE, ChangeResult, carry_out, respond
from hudhud.web.admin.login.guard import authenticate_changer, require_person
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_or_object_of
from hudhud.web.http.request import AnyRequest, job_number, request_id
from hudhud.web.state import AppState, state_of

NOT_FOR_KEYS: Final = say("trial.not_for_keys")
# The refusals that have a sentence for the admin, and the HTTP status of each kind.
WORDED: Final[Mapping[str, str]] = {
    "country_not_allowed": "trial.country_not_allowed",
    "country_blocked": "trial.country_blocked",
    "nothing_pending": "trial.nothing_pending",
    "already_used": "trial.already_used",
    "expired": "trial.expired",
    "max_attempts_reached": "trial.max_attempts_reached",
    "too_many_wrong_codes": "trial.too_many_wrong_codes",
}
STATUS_CODES: Final[Mapping[type[HudhudError], int]] = {
    QueueUnavailable: 503,
    TooMany: 429,
    NotAllowed: 403,
    BadRequest: 400,
}
CONFLICT = 409


@post("/admin/test-code/send", include_in_schema=False)
async def send_trial(request: AnyRequest) -> Response[Any]:
    """Queue a test code for the number of the form."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    phone = parse_phone((await form_or_object_of(request)).one("phoneNumber"))
    if phone is None:
        return await _answer(request, ChangeResult(400, say("action.not_a_number")))
    change = _Sending(phone, request_id(request))
    subject = mask_phone(phone.number)
    return await _answer(
        request, await carry_out(request, actor, change, what="trial_sent", subject=subject)
    )


@post("/admin/test-code/check", include_in_schema=False)
async def check_trial(request: AnyRequest) -> Response[Any]:
    """Check the typed code against the test code of the form's job."""
    actor = await authenticate_changer(request)
    require_person(actor, NOT_FOR_KEYS)
    fields = await form_or_object_of(request)
    typed, job = fields.one("code").strip(), job_number(fields.one("job"))
    if not 0 < len(typed) <= LONGEST_TYPED:
        return await _answer(request, ChangeResult(400, say("trial.type_it")))
    phone = await asyncio.to_thread(_phone_of, state_of(request), job)
    if phone is None:
        return await _answer(request, ChangeResult(404, say("trial.nothing_pending")))

    def change(connection: Connection, state: AppState, _actor: Actor, _now: int) -> ChangeResult:
        return _checked(connection, state, job, typed)

    subject = mask_phone(phone)
    return await _answer(
        request, await carry_out(request, actor, change, what="trial_checked", subject=subject)
    )


class _Sending:
    """The change that queues a test code."""

    def __init__(self, phone: Phone, number: str) -> None:
        self._phone = phone
        self._request_id = number

    def __call__(
        self, connection: Connection, state: AppState, _actor: Actor, now: int
    ) -> ChangeResult:
        try:
            accepted = state.trials.send(
                connection, self._phone, request_id=self._request_id, now=now
            )
        except (Refused, QueueUnavailable) as error:
            return refusal(error)
        shown = mask_phone(self._phone.number)
        return ChangeResult(DONE, say("trial.sent", phone=shown, job=accepted.message_id))


def _checked(connection: Connection, state: AppState, job: int, typed: str) -> ChangeResult:
    try:
        checked = state.trials.check(connection, job=job, typed=typed)
    except (Refused, SealingError) as error:
        return refusal(error)
    if checked.is_valid:
        return ChangeResult(DONE, say("trial.right"))
    if not checked.attempts_remaining:
        return ChangeResult(CONFLICT, say("trial.max_attempts_reached"))
    return ChangeResult(CONFLICT, say("trial.wrong", left=checked.attempts_remaining))


def refusal(error: HudhudError) -> ChangeResult:
    """Return the result that tells the admin why, with the setting that causes it."""
    return ChangeResult(_code(error), _said(error))


def _code(error: HudhudError) -> int:
    codes = (code for kind, code in STATUS_CODES.items() if isinstance(error, kind))
    return next(codes, CONFLICT)


def _said(error: HudhudError) -> Sentence:
    if isinstance(error, LimitReached):
        policy = error.policy
        rate, seconds = str(policy.rate), policy.reset_seconds
        return say(f"trial.limit_{policy.name}", rate=rate, seconds=seconds)
    if isinstance(error, SenderRestricted):
        known = "_to_known" if error.reaches_known else ""
        return say(f"trial.restricted{known}", seconds=error.retry_after)
    if isinstance(error, QueueUnavailable):
        return say("trial.no_room", seconds=error.retry_after)
    word = error.word if isinstance(error, Refused) else None
    code = WORDED.get(word or "")
    return error.sentence if code is None else say(code)


def _phone_of(state: AppState, job: int) -> str | None:
    with state.database.read() as connection:
        return trials.phone_of(connection, job)


async def _answer(request: AnyRequest, result: ChangeResult) -> Response[Any]:
    return await respond(request, result, {"message": result.sentence.english()})


trial_routes = [send_trial, check_trial]
