"""The database: tables, engine, doorbell, group commit and migrations."""
