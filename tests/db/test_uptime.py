"""The start of uninterrupted access to the database."""

from hudhud.db.engine import Database
from hudhud.db.uptime import Uptime


def test_first_period_has_always_lasted_and_one_after_a_gap_has_not(database: Database) -> None:
    uptime = Uptime(database)
    uptime.resume()
    assert uptime.has_lasted(3_600_000)
    uptime.end()
    assert not uptime.has_lasted(0)
    uptime.resume()
    assert uptime.has_lasted(0)
    assert not uptime.has_lasted(3_600_000)
