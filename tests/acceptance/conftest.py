"""Services for the acceptance tests, on each kind of database."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Service, StartService


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start services and stop them after the test."""
    services: list[Service] = []

    def start(*command: str, **variables: str) -> Service:
        folder = tmp_path / f"service-{len(services)}"
        folder.mkdir()
        service = Service(folder, command or ("hudhud", "serve"), variables)
        services.append(service)
        service.start()
        return service

    yield start
    for service in services:
        service.clean_up()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment variables of each kind of database."""
    if request.param == "sqlite":
        return {}
    url = str(request.getfixturevalue("postgres_url"))
    return {"DATABASE_URL": url, "SESSION_SECRET": secrets.token_hex(32)}
