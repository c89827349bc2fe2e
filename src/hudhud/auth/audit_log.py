"""The audit: who did what, when and from where, kept for RETENTION_AUDIT_DAYS.

An entry is written in the transaction of its change, so that neither exists without the other. It
never contains a password, a code or a key.
"""

from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select

from hudhud.core.plain_text import shortened
from hudhud.core.sentences import Sentence, Value
from hudhud.core.stored_sentences import columns
from hudhud.db.batches import delete_some
from hudhud.db.tables import audit

AuditOutcome = Literal["ok", "refused", "failed"]
What = Literal[
    "login",
    "login_failed",
    "logout",
    "code_search",
    "retry",
    "retry_all",
    "cancel",
    "trial_sent",
    "trial_checked",
    "reload",
    "logout_whatsapp",
    "pair_phone",
    "pause",
    "resume",
    "key_made",
    "key_rotated",
    "key_revoked",
    "webhook_added",
    "webhook_removed",
    "webhook_rotated",
    "webhook_enabled",
    "webhook_replayed",
    "number_forgotten",
    "second_factor_on",
    "second_factor_off",
    "password_changed",
    "unlocked",
]

Group = Literal["logins", "failed", "senders", "jobs", "keys", "webhooks", "account"]
GROUPS: Final[dict[Group, tuple[What, ...]]] = {
    "logins": ("login", "logout"),
    "failed": ("login_failed",),
    "senders": ("reload", "logout_whatsapp", "pair_phone", "pause", "resume"),
    "jobs": (
        "retry",
        "retry_all",
        "cancel",
        "trial_sent",
        "trial_checked",
        "code_search",
        "number_forgotten",
    ),
    "keys": ("key_made", "key_rotated", "key_revoked"),
    "webhooks": (
        "webhook_added",
        "webhook_removed",
        "webhook_rotated",
        "webhook_enabled",
        "webhook_replayed",
    ),
    "account": ("second_factor_on", "second_factor_off", "password_changed", "unlocked"),
}

COMMAND_LINE = "cli"
LONGEST_NAME = 60
LONGEST_SUBJECT = 100
LONGEST_DETAIL = 500


def note(
    connection: Connection,
    *,
    who: str,
    address: str | None,
    what: What,
    subject: str | None = None,
    outcome: AuditOutcome = "ok",
    detail: Sentence | None = None,
    now: int,
) -> None:
    """Record that `who` did `what` to `subject`, with an optional `detail`.

    `who`, `subject` and `detail` may contain untrusted input and are shortened.
    """
    connection.execute(
        insert(audit).values(
            at=now,
            who=shortened(who, LONGEST_NAME),
            address=address,
            what=what,
            subject=None if subject is None else shortened(subject, LONGEST_SUBJECT),
            outcome=outcome,
            **_stored_detail(detail),
        )
    )


def _stored_detail(detail: Sentence | None) -> dict[str, str | None]:
    if detail is None:
        return columns("detail", None)
    params = {name: _shortened(value) for name, value in detail.params.items()}
    sentence = Sentence(detail.code, params)
    return columns("detail", sentence, shortened(sentence.english(), LONGEST_DETAIL))


def _shortened(value: Value) -> Value:
    return shortened(value, LONGEST_DETAIL) if isinstance(value, str) else value


def page(
    connection: Connection,
    *,
    what: Group | None = None,
    text: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Row[Any]]:
    """Return at most `limit` entries older than the id `before`, newest first.

    `text` is searched for in who, address, subject and detail, ignoring case.
    """
    statement = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if what is not None:
        statement = statement.where(audit.c.what.in_(GROUPS[what]))
    if text:
        statement = statement.where(_mentions(text))
    if before is not None:
        statement = statement.where(audit.c.id < before)
    return list(connection.execute(statement))


def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Delete at most `limit` entries older than `before`; return how many."""
    return delete_some(connection, audit, audit.c.at < before, order=audit.c.at, limit=limit)


def _mentions(text: str) -> ColumnElement[bool]:
    columns = (audit.c.who, audit.c.address, audit.c.subject, audit.c.detail)
    return or_(*(column.icontains(text, autoescape=True) for column in columns))
