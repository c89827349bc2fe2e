"""The README's login examples work unchanged against a real service."""

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Self

from sqlalchemy import update

from hudhud.core.clock import now_ms
from hudhud.db.tables import verifications
from support.services import HTTP, Service, StartService, sqlite_of, wait_until

README = Path(__file__).parents[2] / "README.md"
PHONE = "+201001234567"
# The test reads the code from the sandbox in place of a phone.
SCOPES = [f"--scope={scope}" for scope in ("send", "verify", "read", "sandbox")]
CODE = re.compile(r"^\d{6}$", re.MULTILINE)
CURL_REFUSED = 22
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


def received(service: Service, key: str, phone: str) -> list[str]:
    """Return the codes that arrived on a phone."""
    answer = HTTP.get(
        f"{service.url}/api/v1/sandbox/messages",
        params={"phoneNumber": phone},
        headers={"X-API-KEY": key},
    )
    answer.raise_for_status()
    return [code for message in answer.json()["messages"] for code in CODE.findall(message["text"])]


class Login:
    """The login example of the README, run for one person."""

    def __init__(self, service: Service, key: str, language: str, phone: str) -> None:
        self._service = service
        self._key = key
        self._phone = phone
        program = snippet(language).replace("http://localhost:3000", service.url)
        program = program.replace("hh_live_…", key)
        command = [sys.executable, "-c", program] if language == "python" else ["sh", "-c", program]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def code(self) -> str:
        """Type the number and return the code that arrives."""
        self.type(self._phone)
        wait_until(lambda: bool(self._received()), 20, "the code")
        (code,) = self._received()
        return code

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self, *lines: str) -> str:
        """Type further lines and return the output."""
        output, errors = self.process.communicate("".join(f"{line}\n" for line in lines), 20)
        assert "Traceback" not in errors
        return output

    def _received(self) -> list[str]:
        return received(self._service, self._key, self._phone)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.communicate()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10_000:04d}"


def test_login_examples_of_the_readme_work_unchanged(start_service: StartService) -> None:
    service = start_service(CHANNEL="sandbox", OTP_MAX_ATTEMPTS="2")
    key = make_key(service)

    with Login(service, key, "python", PHONE) as login:
        code = login.code()
        output = login.end(wrong(code), code)
        assert output.endswith("The code (tries left: 1): Welcome!\n")
    with Login(service, key, "python", PHONE) as login:
        assert "at most 1 in 30s" in login.end(PHONE), "a second code at once"
    with Login(service, key, "python", PHONE[:-1] + "0") as login:
        code = login.code()
        assert login.end(wrong(code), wrong(code)).endswith("Too many wrong codes.\n")
    with Login(service, key, "python", PHONE[:-1] + "1") as login:
        code = login.code()
        let_codes_expire(service)
        assert "expired" in login.end(code)

    with Login(service, key, "sh", PHONE[:-1] + "2") as login:
        assert '"valid":true' in login.end(login.code())
        assert login.process.returncode == 0
    with Login(service, key, "sh", PHONE[:-1] + "2") as login:
        output = login.end(PHONE[:-1] + "2")
        assert '"error":"rate_limited"' in output
        assert "The code that you received" not in output
        assert login.process.returncode == CURL_REFUSED


def let_codes_expire(service: Service) -> None:
    """Pretend that every code's time is over."""
    with closing(sqlite_of(service)) as database, database.write() as connection:
        connection.execute(update(verifications).values(expires_at=now_ms()))
