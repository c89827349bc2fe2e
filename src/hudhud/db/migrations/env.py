"""Alembic's entry point, run in the transaction of `hudhud.db.migrate`."""

from alembic import context

from hudhud.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
