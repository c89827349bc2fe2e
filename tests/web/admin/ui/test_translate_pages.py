"""Every page in Arabic: no text is left in English, no unit is a single letter, per cent is 5%."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from hudhud.auth import audit_log
from hudhud.auth.audit_log import COMMAND_LINE
from hudhud.auth.caller import ADMIN, ENVIRONMENT
from hudhud.auth.caller import COMMAND_LINE as BY_COMMAND_LINE
from hudhud.auth.first_credentials import FIRST_START
from hudhud.channels.base import State
from hudhud.core.clock import DAY_MS, HOUR_MS, MINUTE_MS, now_ms
from hudhud.core.sentences import say
from hudhud.db.tables import senders, verifications
from hudhud.messages import counters, timeline
from hudhud.messages.states import STATUSES
from support.admin import Person
from support.keys import make_key
from support.queued import put_sender, verification_of
from support.stored_jobs import StoredJob, put_jobs
from support.web_server import WebServer

KEY = "shop"
# Names of products, formats and languages that Arabic texts keep, and names that a user chose.
KEPT = {"API", "API_KEY", "JavaScript", "QR", "p95", "POST", "hash", "Hudhud"}
NAMED = re.compile(rf"{KEY}|branch-\w+|https://\S+")
LATIN = re.compile(r"[A-Za-z]\w+")
ONE_LETTER = re.compile(r"(?<![\u0600-\u06ff])(?!و)[\u0621-\u064a](?![\u0600-\u06ff])")  # but "and"
PERCENT = re.compile(r"\d%$")
# Their content is a name, a code or a text of another program.
FOREIGN_TAGS = {"code", "pre", "script", "style", "svg", "time", "textarea"}
STATES: tuple[State, ...] = ("connected", "pairing", "restricted", "reconnecting")
READ_ATTRIBUTES = ("aria-label", "placeholder", "data-label")
WITHOUT_END = {"input", "link", "meta", "br", "path", "rect", "use", "circle", "progress"}


class Texts(HTMLParser):
    """The texts of a page that its Arabic reader reads, and each share with its surroundings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.read: list[str] = []
        self.shares: list[tuple[str, bool]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._before = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.read += [
            found[name] or ""
            for name in ("aria-label", "placeholder", "data-label")
            if name in found
        ]
        if tag not in {"input", "link", "meta", "br", "path", "rect", "use", "circle", "progress"}:
            self._open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        isolated = any(found.get("dir") == "ltr" for tag, found in self._open if tag == "bdi")
        if "%" in data:
            self.shares.append(((self._before + data).strip(), isolated))
        self._before = data.strip()
        if not isolated and not any(self._is_foreign(*one) for one in self._open):
            self.read.append(data)

    @staticmethod
    def _is_foreign(tag: str, found: dict[str, str | None]) -> bool:
        return (
            tag in FOREIGN_TAGS
            or (tag == "bdi" and "dir" in found)
            or found.get("lang") == "en"
            or found.get("dir") == "auto"
        )


@pytest.fixture(scope="module", autouse=True)
def jobs(served: WebServer) -> list[int]:
    """Jobs of every status and requester, senders, keys, deliveries and audited actors."""
    database, now = served.database, now_ms()
    made = put_jobs(
        database,
        *(
            StoredJob(
                status=status,
                created_at=now - 90 * MINUTE_MS,
                sent_at=now - 89 * MINUTE_MS if status in ("sent", "delivered", "read") else None,
                finished_at=now - HOUR_MS if status in ("failed", "expired", "canceled") else None,
                error=say("job.no_account") if status == "failed" else None,
            )
            for status in STATUSES
        ),
    )
    owners = (ADMIN, ENVIRONMENT, BY_COMMAND_LINE, "hh_live_abcdef")
    with database.write() as connection:
        for job, owner in zip(made, owners, strict=False):
            of_job = verification_of(database, job).id
            connection.execute(
                verifications.update().where(verifications.c.id == of_job).values(api_key=owner)
            )
        for who in ("admin", f"key {KEY}", "sara"):
            timeline.keep_intervention(connection, made[-1:], kind="retried", at=now, who=who)
        for who in ("admin", f"key {KEY}", COMMAND_LINE, FIRST_START):
            audit_log.note(connection, who=who, address=None, what="login", now=now)
        happened: dict[counters.Happening, int] = {"accepted": 9, "sent": 8, "delivered": 7}
        counters.add(connection, now=now, moved={}, happened=happened, delivered_after=[2300] * 7)
    for state in STATES:
        put_sender(
            database,
            f"branch-{state}",
            "starting" if state == "stopped" else state,
            channel="linked",
        )
    with database.write() as connection:
        connection.execute(senders.update().values(heartbeat_at=now + HOUR_MS, until=now + DAY_MS))
    make_key(database, KEY, "send")
    return made


def pages(jobs: list[int]) -> Iterator[str]:
    yield from ("/admin/status", "/admin/status?range=hour", "/admin/status?filterStatus=failed")
    yield from ("/admin/keys", "/admin/webhooks", "/admin/audit", "/admin/second-factor")
    yield "/admin/whatsapp/logout-session?sender=branch-connected"
    yield from (f"/admin/jobs/{job}" for job in (*jobs, 999_999))
    yield "/admin/no-such-page"


def test_pages_have_no_english_no_letters_for_units_and_percent_after_the_number(
    member: Person, jobs: list[int]
) -> None:
    left: dict[str, list[str]] = {}
    shares = 0
    for path in pages(jobs):
        html = member.client.get(path, headers={"Accept-Language": "ar"}).text
        assert 'lang="ar" dir="rtl"' in html, path
        texts = Texts(html)
        shares += len(texts.shares)
        read = [NAMED.sub("", text) for text in texts.read]
        odd = [word for text in read for word in LATIN.findall(text) if word not in KEPT]
        odd += [text.strip() for text in read if ONE_LETTER.search(text)]
        odd += [who for who in ('dir="auto">admin<', f"key {KEY}", "command line") if who in html]
        odd += [text for text, isolated in texts.shares if not (isolated and PERCENT.search(text))]
        if odd:
            left[path] = odd
    assert left == {}
    assert shares > 0
