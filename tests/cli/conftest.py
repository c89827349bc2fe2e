"""Commands run in this process, against an installation on each database."""

import os
import secrets
from collections.abc import Iterator

import pytest

from hudhud.cli import main
from support.command_line import Ended, Installation, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command line in this process."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["hudhud", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, said.out, said.err)

    before = os.umask(0o022)
    os.umask(before)
    yield call
    os.umask(before)


@pytest.fixture
def installation(
    migrated_installation: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A started installation on each kind of database."""
    del migrated_installation
    monkeypatch.setenv("SESSION_SECRET", secrets.token_hex(32))
    started = Installation()
    yield started
    started.database.close()
