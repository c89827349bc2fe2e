"""The database: tables, engine, doorbell, group commit, migrations."""
