"""Move the state of alerts to a separate table.

It concerns senders, countries and endpoints. The old columns stay for one release, for processes of
the previous version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The oldest version that may run with these tables.
OLDEST_VERSION = "0.1.0"
NOTHING = "-"
# Kind of subject, table, key, column. A column holds the alerted state (`logged_out`), or four
# words like `- logged_out 2 1763868678036`: alerted state (`-` for none), state of the alert being
# sent, attempts, next attempt.
OLD_COLUMNS = (
    ("sender", "senders", "name", "alerted_state"),
    ("country", "country_guards", "country", "alerted"),
    ("endpoint", "webhook_endpoints", "id", "alerted"),
)


def upgrade() -> None:
    """Add the table and copy the few states of alerts to it."""
    alerts = op.create_table(
        "alerts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=True),
        sa.Column("telling", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    states = [state for old in OLD_COLUMNS for state in _states(*old)]
    if states:
        op.bulk_insert(alerts, states)
    _name_oldest_version()


def _states(kind: str, table: str, key: str, column: str) -> list[dict[str, object]]:
    old = sa.table(table, sa.column(key), sa.column(column))
    found = sa.select(old.c[key], old.c[column]).where(old.c[column].is_not(None))
    return [
        {"subject": f"{kind} {name}", **_state(*words.split())}
        for name, words in op.get_bind().execute(found)
    ]


def _state(
    told: str, telling: str | None = None, attempts: str = "0", until: str = "0"
) -> dict[str, object]:
    return {
        "told": None if told == NOTHING else told,
        "telling": telling,
        "attempts": int(attempts),
        "next_attempt_at": int(until),
    }


def _name_oldest_version() -> None:
    installation = sa.table("installation", sa.column("name"), sa.column("value"))
    named = installation.c.name == "oldest_version"
    op.execute(sa.update(installation).where(named).values(value=OLDEST_VERSION))
