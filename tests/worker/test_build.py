"""A sender's process has what its channel needs."""

from contextlib import closing
from pathlib import Path

import pytest

from conftest import settings
from hudhud import app
from hudhud.worker.build import build_worker
from support.queued import SECRET, put_sender
from support.scripted_channel import ScriptedChannel

FULL, NORMAL = 2, 1


@pytest.mark.parametrize(("channel", "flushing"), [("linked", FULL), ("sandbox", NORMAL)])
def test_only_the_sandbox_flushes_commits_at_checkpoints(
    tmp_path: Path, channel: str, flushing: int
) -> None:
    own = settings(session_secret=SECRET, data_dir=tmp_path)
    with closing(app.open_installation(own)) as database:
        put_sender(database, channel=channel)
    worker = build_worker(own, "main", {channel: lambda _parts: ScriptedChannel()})
    with closing(worker._database) as used, used.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == flushing
