"""Changes by admins and scripts: carried out, audited and answered.

The audit entry is written in the transaction of the change. A script gets JSON; a form gets its
page again, with a notice of the result.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litestar import Response
from sqlalchemy import Connection

from hudhud.auth.audit_log import AuditOutcome, What
from hudhud.core.clock import now_ms
from hudhud.core.sentences import Sentence
from hudhud.web.admin.ui.actor import Actor
from hudhud.web.admin.ui.forms import form_of
from hudhud.web.admin.ui.notices import Notice, Tone
from hudhud.web.admin.ui.render import STATUS_PAGE, see_other
from hudhud.web.admin.ui.translate import translate
from hudhud.web.admin.ui.view import View, view_of
from hudhud.web.http.request import AnyRequest, wants_page
from hudhud.web.http.responses import answer
from hudhud.web.state import AppState, state_of

DONE = 200


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """Whether a change was made, and the sentence that reports it."""

    status_code: int
    sentence: Sentence

    @property
    def is_done(self) -> bool:
        """Whether the change was made."""
        return self.status_code == DONE

    def notice(self, view: View) -> Notice:
        """Return the notice for a person."""
        tone: Tone = "ok" if self.is_done else "warn"
        return Notice(tone, translate(self.sentence, view.language))


Change = Callable[[Connection, AppState, Actor, int], ChangeResult]


async def carry_out(
    request: AnyRequest, actor: Actor, change: Change, *, what: What, subject: str | None
) -> ChangeResult:
    """Make the change and its audit entry in one transaction."""
    return await asyncio.to_thread(_write, state_of(request), actor, change, what, subject)


def _write(
    state: AppState, actor: Actor, change: Change, what: What, subject: str | None
) -> ChangeResult:
    now = now_ms()
    with state.database.write() as connection:
        result = change(connection, state, actor, now)
        outcome: AuditOutcome = "ok" if result.is_done else "refused"
        actor.note(connection, what, subject=subject, outcome=outcome, detail=result.sentence)
        state.database.notify(connection)
    return result


async def respond(
    request: AnyRequest, result: ChangeResult, body: dict[str, object]
) -> Response[Any]:
    """Answer a script with the body, a person with the form's page."""
    if not wants_page(request):
        return answer(body, result.status_code)
    back = (await form_of(request)).one("back") or STATUS_PAGE
    return see_other(request, back, result.notice(view_of(request)))
