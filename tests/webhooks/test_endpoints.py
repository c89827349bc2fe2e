"""Endpoints: their subscriptions and signing secrets."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from hudhud.core.crypto import Cipher, SealingError
from hudhud.core.errors import BadRequest, Conflict
from hudhud.db.engine import Database
from hudhud.db.tables import webhook_endpoints
from hudhud.webhooks import endpoints
from support.deliveries import URL
from support.queued import NOW
from support.receivers import CIPHER, add_endpoint


def test_secrets_are_stored_sealed_and_resealed_after_a_change_of_secret(
    database: Database,
) -> None:
    added = add_endpoint(database, URL)
    with database.write() as connection:
        rotated = endpoints.rotate(connection, CIPHER, added.id, now=NOW)
    assert rotated is not None
    assert added.secret.startswith("whsec_")
    assert rotated.secret != added.secret
    following = Cipher(endpoints.PURPOSE, "another secret", "a secret of the tests")
    with database.write() as connection:
        assert endpoints.reseal(connection, CIPHER) == 0
        assert endpoints.reseal(connection, following) == 2
        assert endpoints.reseal(connection, following) == 0
        row = connection.execute(select(webhook_endpoints)).one()
    alone = Cipher(endpoints.PURPOSE, "another secret")
    assert alone.open(URL, row.secret_sealed) == rotated.secret
    assert alone.open(URL, row.previous_secret_sealed) == added.secret
    with pytest.raises(SealingError):
        alone.open("https://elsewhere.example/", row.secret_sealed)


def test_unreadable_secret_does_not_prevent_resealing_others(
    database: Database,
) -> None:
    lost, kept = add_endpoint(database, URL), add_endpoint(database, URL)
    following = Cipher(endpoints.PURPOSE, "another secret", "a secret of the tests")
    foreign = Cipher(endpoints.PURPOSE, "a third secret").seal(URL, "x")
    with database.write() as connection, capture_logs() as logs:
        of_lost = update(webhook_endpoints).where(webhook_endpoints.c.id == lost.id)
        connection.execute(of_lost.values(secret_sealed=foreign))
        assert endpoints.reseal(connection, following) == 1
        rows = connection.execute(select(webhook_endpoints).order_by(webhook_endpoints.c.id)).all()
    assert rows[0].secret_sealed == foreign
    assert Cipher(endpoints.PURPOSE, "another secret").open(URL, rows[1].secret_sealed)
    assert [line["endpoint"] for line in logs] == [lost.id] != [kept.id]


def test_rotation_is_refused_while_the_previous_secret_signs(database: Database) -> None:
    added = add_endpoint(database, URL)

    def rotate(now: int, overlap_ms: int = 1000) -> str | None:
        with database.write() as connection:
            signed = endpoints.rotate(connection, CIPHER, added.id, now=now, overlap_ms=overlap_ms)
        return None if signed is None else signed.secret

    second = rotate(NOW)
    with pytest.raises(Conflict, match="also signs until 2026-11-24T01:31:19"):
        rotate(NOW + 999)
    assert signing(database) == [second, added.secret]
    third = rotate(NOW + 1000)
    assert signing(database) == [third, second]
    leaked = rotate(NOW + 1001, 0)
    assert signing(database) == [leaked], "after a leak every former one ends"


def test_expired_secret_is_erased(database: Database) -> None:
    added = add_endpoint(database, URL)
    with database.write() as connection:
        endpoints.rotate(connection, CIPHER, added.id, now=NOW, overlap_ms=1000)
        endpoints.purge_former_secrets(connection, before=NOW + 999, limit=9)
    assert len(signing(database)) == 2
    with database.write() as connection:
        endpoints.purge_former_secrets(connection, before=NOW + 1000, limit=9)
    assert len(signing(database)) == 1


def signing(database: Database) -> list[str]:
    """Return the secrets of the only endpoint, the current one first."""
    with database.read() as connection:
        row = connection.execute(select(webhook_endpoints)).one()
    sealed = (row.secret_sealed, row.previous_secret_sealed)
    return [CIPHER.open(URL, one) for one in sealed if one is not None]


def test_an_unknown_endpoint_has_no_secret_to_rotate(database: Database) -> None:
    with database.write() as connection:
        assert endpoints.rotate(connection, CIPHER, 7, now=NOW) is None
        with pytest.raises(BadRequest):
            endpoints.rotate(connection, CIPHER, 7, now=NOW, overlap_ms=-1)


@pytest.mark.parametrize(
    ("kinds", "owner", "stored"),
    [
        ((), None, 13),
        ((), "shop", 9),
        (("message.read", "message.sent", "message.read"), None, 2),
        (("message.read", "sender.connected"), "shop", 1),
    ],
)
def test_endpoint_subscribes_to_the_given_events(
    database: Database, kinds: Sequence[str], owner: str | None, stored: int
) -> None:
    added = add_endpoint(database, URL, kinds, owner)
    with database.read() as connection:
        (row,) = endpoints.list_endpoints(connection)
    assert (row.id, row.url, row.api_key) == (added.id, URL, owner)
    assert len(row.kinds.split()) == stored


@pytest.mark.parametrize(
    ("kinds", "owner"), [(("message.lost",), None), (("sender.connected",), "shop")]
)
def test_unknown_events_are_refused(
    database: Database, kinds: Sequence[str], owner: str | None
) -> None:
    with pytest.raises(BadRequest):
        add_endpoint(database, URL, kinds, owner)
