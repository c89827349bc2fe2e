"""Changes of an installation by commands: transactional and audited."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from hudhud.auth import audit_log
from hudhud.auth.audit_log import COMMAND_LINE, What
from hudhud.cli.terminal import existing_installation
from hudhud.core.clock import now_ms
from hudhud.core.sentences import Sentence
from hudhud.core.settings import Settings


@contextmanager
def changing(settings: Settings) -> Iterator[Connection]:
    """Yield a write transaction on an existing installation, then ring the doorbell."""
    with existing_installation(settings) as database, database.write() as connection:
        yield connection
        database.notify(connection)


def note(
    connection: Connection, what: What, subject: str | None, detail: Sentence | None = None
) -> None:
    """Record a change by the command line in the audit."""
    audit_log.note(
        connection,
        who=COMMAND_LINE,
        address=None,
        what=what,
        subject=subject,
        detail=detail,
        now=now_ms(),
    )
