"""The write probe commits a page, and remembers the result for a moment."""

import resource
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from hudhud.db.engine import Database
from hudhud.db.write_probe import WriteProbe


def test_probe_succeeds_while_the_database_can_be_written(database: Database) -> None:
    probe = WriteProbe(database, pause_seconds=0)
    assert [probe.failure() for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_each_probe_writes_a_page_and_its_result_is_kept_for_a_moment(database: Database) -> None:
    file = Path(str(database.url.database))
    log = file.with_name(file.name + "-wal")
    assert database.empty_log()  # so that each page makes it longer
    eager, lazy = WriteProbe(database, pause_seconds=0), WriteProbe(database, pause_seconds=1000)
    assert eager.failure() is None
    assert lazy.failure() is None
    size = log.stat().st_size
    assert lazy.failure() is None
    assert log.stat().st_size == size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        assert isinstance(eager.failure(), SQLAlchemyError)
        assert lazy.failure() is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert eager.failure() is None
    assert log.stat().st_size > size
