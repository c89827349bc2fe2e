"""Construct from the settings what processes of every kind work with.

Only what constructs imports it: `app.py`, `web/application.py`, `worker/build.py`, commands.
"""

from hudhud.core.settings import Settings
from hudhud.db.location import DatabasePlace


def database_place_of(settings: Settings) -> DatabasePlace:
    """Return what the settings say of where the database is."""
    return DatabasePlace(
        folder=settings.data_dir, file=settings.db_filename, url=settings.database_url
    )
