"""Open connections of a real service: many silent ones, both families, and its stop."""

import contextlib
import resource
import signal
import socket
from collections.abc import Iterator

import httpx
import pytest

from support.admin import PASSWORD, log_in_script
from support.services import API_KEY, Service, StartService, ask_for_code, wait_until

SILENT = 1500
FEW_FILES = 256
NUMBER = "+201001234567"
HALF_BODY = (
    f"POST /api/v1/otp/send HTTP/1.1\r\nHost: hudhud\r\nX-API-KEY: {API_KEY}\r\n"
    "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
).encode()


@pytest.fixture
def few_files() -> Iterator[None]:
    """Start services with a low soft limit of open files, but open many files here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def open_files() -> Iterator[None]:
    """Raise this process's limit for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_silent_connections_and_open_work_neither_stop_nor_delay(
    start_service: StartService,
) -> None:
    service = start_service(CHANNEL="sandbox", HOST="::", ADMIN_PASSWORD=PASSWORD)
    for host in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{host}:{service.port}/healthz").status_code == 200
    with open_files(), contextlib.ExitStack() as stack:
        for _ in range(SILENT):
            address = ("127.0.0.1", service.port)
            stack.enter_context(contextlib.closing(socket.create_connection(address, 10)))
        job = ask_for_code(service.url, NUMBER)["jobId"]
        leave_work_open(service, str(job), stack)
        assert service.stop(signal.SIGTERM) == 0
    output = service.output.read_text()
    assert "Traceback" not in output
    assert '"level":"error"' not in output


def leave_work_open(service: Service, job: str, stack: contextlib.ExitStack) -> None:
    """Open a stream, a long poll, half a body and half a head."""
    for part in (HALF_BODY, HALF_BODY[:40]):
        connection = socket.create_connection(("127.0.0.1", service.port), 10)
        stack.enter_context(contextlib.closing(connection)).sendall(part)
    client = stack.enter_context(httpx.Client(base_url=service.url, timeout=10))
    assert log_in_script(client).status_code == 200
    stream = stack.enter_context(client.stream("GET", "/admin/live"))
    assert next(stream.iter_lines()) == "event: hello"
    poll = socket.create_connection(("127.0.0.1", service.port), 10)
    stack.enter_context(contextlib.closing(poll))
    request = f"GET /api/v1/otp/{job}?wait=60 HTTP/1.1\r\nHost: hudhud\r\nX-API-KEY: {API_KEY}\r\n"
    poll.sendall(f"{request}\r\n".encode())
    wait_until(service.answers, 10, "an answer after all this")
