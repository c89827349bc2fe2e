"""Alembic's entry: runs inside the transaction that `hudhud.db.migrate` has opened."""

from alembic import context

from hudhud.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
