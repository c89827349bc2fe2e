"""Check that the secret belongs to the database."""

import structlog
from sqlalchemy import Connection

from hudhud.core.errors import StartRefused
from hudhud.core.secret import proof_of, proves
from hudhud.db import installation

SECRET_CHECK = "secret_check"  # noqa: S105 -- the name of a row

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def check_secret(connection: Connection, secret: str, previous: str | None) -> None:
    """Check that `secret` belongs to the database, or replaces `previous` there.

    Raises StartRefused if neither secret belongs to it.
    """
    stored = stored_check(connection)
    value = proof_of(secret)
    if stored is None:
        if not installation.replace(connection, SECRET_CHECK, before=None, value=value):
            check_secret(connection, secret, previous)  # another process was faster
    elif proves(secret, stored):
        return
    elif previous is not None and proves(previous, stored):
        installation.write(connection, SECRET_CHECK, value)
        log.info("Now using the new SESSION_SECRET")
    else:
        raise StartRefused(
            "This database belongs to another secret: its codes could not be read. Restore the "
            "earlier SESSION_SECRET (or the file `secret` in DATA_DIR). To change the secret, set "
            "the earlier one as SESSION_SECRET_PREVIOUS."
        )


def stored_check(connection: Connection) -> str | None:
    """Return the database's proof of its secret; None before the first start."""
    return installation.read(connection, SECRET_CHECK)
