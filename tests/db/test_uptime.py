"""Since when the database is used without a gap."""

from hudhud.db.engine import Database
from hudhud.db.uptime import Uptime


def test_the_first_look_judges_at_once_and_one_after_a_gap_waits(database: Database) -> None:
    uptime = Uptime(database)
    uptime.resume()
    assert uptime.has_lasted(3_600_000)
    uptime.end()
    assert not uptime.has_lasted(0)
    uptime.resume()
    assert uptime.has_lasted(0)
    assert not uptime.has_lasted(3_600_000)
