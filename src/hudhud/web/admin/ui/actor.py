"""The person or script that acts in the dashboard."""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from sqlalchemy import Connection

from hudhud.auth import audit_log
from hudhud.auth.audit_log import COMMAND_LINE, AuditOutcome, What
from hudhud.auth.caller import ADMIN
from hudhud.auth.first_credentials import FIRST_START
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.sentences import Sentence
from hudhud.web.admin.ui.format import Format

KEY_ACTOR: Final = "key "  # before the name of an API key


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or script, with its address."""

    name: str
    address: str
    session: Session | None  # None for an API key

    def note(
        self,
        connection: Connection,
        what: What,
        *,
        subject: str | None = None,
        outcome: AuditOutcome = "ok",
        detail: Sentence | None = None,
    ) -> None:
        """Record an action in the audit."""
        audit_log.note(
            connection,
            who=self.name,
            address=self.address,
            what=what,
            subject=subject,
            outcome=outcome,
            detail=detail,
            now=now_ms(),
        )


def actor_name(who: str, fmt: Format) -> Markup:
    """Name who did something: people and keys by their names, the usual ones by words."""
    if who.startswith(KEY_ACTOR):
        name = fmt.bold(fmt.isolated(who.removeprefix(KEY_ACTOR)))
        return fmt.fill(fmt.gettext("key %(name)s"), name=name)
    words = {
        ADMIN: fmt.gettext("admin"),
        COMMAND_LINE: fmt.gettext("command line"),
        FIRST_START: fmt.gettext("first start"),
    }
    return fmt.isolated(words.get(who, who))
