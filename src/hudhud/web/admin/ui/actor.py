"""The person or script that acts in the dashboard."""

from dataclasses import dataclass

from sqlalchemy import Connection

from hudhud.auth import audit_log
from hudhud.auth.audit_log import AuditOutcome, What
from hudhud.auth.sessions import Session
from hudhud.core.clock import now_ms
from hudhud.core.sentences import Sentence


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
