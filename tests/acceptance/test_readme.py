"""The README's login example works unchanged against a real service."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.services import HTTP, Service, StartService, wait_until

README = Path(__file__).parents[2] / "README.md"
PHONE = "+201001234567"
# The test reads the code from the sandbox in place of a phone.
SCOPES = [f"--scope={scope}" for scope in ("send", "verify", "read", "sandbox")]
CODE = re.compile(r"^\d{4}$", re.MULTILINE)
KEY = re.compile(r"hh_live_[\w-]+")


def snippet(language: str) -> str:
    """Return the login example of the README."""
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    assert len([line for line in found[1].splitlines() if line]) <= 10
    return found[1]


def make_key(service: Service) -> str:
    """Create a key as `hudhud keys create` does."""
    made = subprocess.run(
        [sys.executable, "-m", "hudhud", "keys", "create", "login", *SCOPES],
        cwd=service.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = KEY.search(made.stdout)
    assert found is not None, made.stdout
    headers = {"X-API-KEY": found[0]}
    wait_until(
        lambda: HTTP.get(f"{service.url}/api/v1/otp", headers=headers).is_success,
        10,
        "the new key to work",
    )
    return found[0]


def received(service: Service, key: str) -> list[str]:
    """Return the codes that arrived on the phone."""
    answer = HTTP.get(
        f"{service.url}/api/v1/sandbox/messages",
        params={"phoneNumber": PHONE},
        headers={"X-API-KEY": key},
    )
    answer.raise_for_status()
    return [code for message in answer.json()["messages"] for code in CODE.findall(message["text"])]


@pytest.mark.parametrize("language", ["python", "sh"])
def test_login_example_of_the_readme_works_unchanged(
    start_service: StartService, language: str
) -> None:
    service = start_service(CHANNEL="sandbox")
    key = make_key(service)
    program = snippet(language).replace("http://localhost:3000", service.url)
    program = program.replace("hh_live_…", key)
    command = [sys.executable, "-c", program] if language == "python" else ["sh", "-c", program]
    login = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert login.stdin is not None
        login.stdin.write(f"{PHONE}\n")
        login.stdin.flush()
        wait_until(lambda: bool(received(service, key)), 20, "the code")
        (code,) = received(service, key)
        output, _ = login.communicate(f"{code}\n", timeout=20)
    finally:
        login.kill()
        login.communicate()
    assert login.returncode == 0
    assert ("Welcome!" if language == "python" else '"valid":true') in output
