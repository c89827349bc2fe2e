"""Sessions and codes survive a restart with a new secret."""

import pytest

from hudhud.db.engine import Database
from hudhud.maintenance import secret_rotation
from support.admin import LOGIN, PASSWORD, Person
from support.keyed_api import keyed
from support.web_server import SECRET, ServeWeb, WebServer

NEW = "the secret after it, of the web tests"


def moved(person: Person, server: WebServer) -> Person:
    """Return the same browser at the server that replaced the first one."""
    other = Person(server)
    other.client.cookies.update(person.client.cookies)
    return other


@pytest.mark.usefixtures("cheap_hashes")
def test_sessions_and_open_pages_keep_working(serve_web: ServeWeb, database: Database) -> None:
    before = serve_web(admin_password=PASSWORD)
    changes = {"session_secret": NEW, "session_secret_previous": SECRET}
    with Person(before) as person:
        assert person.log_in().status_code == 303
        token = person.get("/admin/status").text.split('name="_csrf" value="')[1].split('"')[0]
        during = serve_web(admin_password=PASSWORD, **changes)
        password = during.web.state.access.password
        secret_rotation.take_over(database, password, secret=NEW, previous_secret=SECRET)
        with moved(person, during) as there:
            assert there.is_in()
            answer = there.client.post("/admin/logout", data={"_csrf": "x"})
            assert answer.status_code == 403
            after = serve_web(admin_password=PASSWORD, session_secret=NEW)
            with moved(there, after) as later:
                assert later.is_in()
            assert there.client.post("/admin/logout", data={"_csrf": token}).status_code == 303
            assert there.get(LOGIN).status_code == 200


def test_code_of_the_previous_secret_can_be_checked(serve_web: ServeWeb) -> None:
    before = keyed(serve_web())
    accepted = before.accepted("+201001234567")
    during = serve_web(session_secret=NEW, session_secret_previous=SECRET)
    answer = during.client.post(
        "/api/v1/otp/verify",
        json={"verificationId": accepted["verificationId"], "otp": accepted["otp"]},
        headers={"X-API-KEY": before.key},
    )
    assert (answer.status_code, answer.json()["valid"]) == (200, True)
