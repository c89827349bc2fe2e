"""An admin's test codes are shown in the traffic, but nothing is judged by them."""

import pytest

from hudhud.auth.caller import Caller
from hudhud.channels.base import Receipt
from hudhud.core.clock import HOUR_MS
from hudhud.core.errors import OwnNumber
from hudhud.core.sentences import say
from hudhud.db.engine import Database
from hudhud.messages import queue, receipts, statistics
from hudhud.messages.outcomes import Failed, Misaddressed, Outcome, Sent
from hudhud.messages.statistics import QueueNumbers
from hudhud.verification import trials
from hudhud.worker.outcomes import record_outcomes
from support import verifying
from support.queued import NOW, caller

SHOP = caller("shop", "send", "verify")
BROKEN = say("job.broke")
LATER = NOW + 40_000  # what was sent at NOW is no longer on its way


def send(database: Database, who: Caller, phone: str) -> int:
    """Have a message claimed, and return its job."""
    (accepted,) = verifying.start(database, (who, verifying.request(phone)))
    assert not isinstance(accepted, Exception)
    with database.write() as connection:
        queue.claim(connection, channel="sandbox", sender="s", limit=1, now=NOW)
    return accepted.message_id


def end(database: Database, *outcomes: Outcome) -> None:
    with database.write() as connection:
        record_outcomes(connection, sender="s", outcomes=outcomes, now=NOW)


def deliver(database: Database, *ids: str, after_ms: int = 2000) -> None:
    at = NOW + after_ms
    with database.write() as connection:
        arrived = [Receipt(one, "delivered", at) for one in ids]
        receipts.record_receipts(connection, arrived, now=at)


def numbers(database: Database, now: int = LATER) -> QueueNumbers:
    with database.read() as connection:
        return statistics.numbers(connection, channel="sandbox", now=now, mean_gap=0)


def test_success_rate_and_median_leave_test_codes_out(database: Database) -> None:
    tried, refused = (send(database, trials.CALLER, f"+20100000000{one}") for one in (1, 2))
    end(database, Sent(tried, "t", NOW), Failed(refused, BROKEN, NOW))
    deliver(database, "t", after_ms=60_000)
    found = numbers(database)
    for period in (found.hour, found.day):
        assert (period.success_rate, period.median_ms, period.judged) == (None, None, 0)
        assert period.happened["accepted"] == 2
        assert (period.happened["sent"], period.happened["delivered"]) == (1, 1)
        assert period.happened["failed"] == 1
    real = [send(database, SHOP, f"+20100000001{one}") for one in range(4)]
    end(database, *(Sent(job, f"r{job}", NOW) for job in real[:3]), Failed(real[3], BROKEN, NOW))
    deliver(database, f"r{real[0]}", f"r{real[1]}")
    hour = numbers(database).hour
    assert (hour.success_rate, hour.judged) == (0.5, 4)
    assert hour.median_ms == pytest.approx(2000, rel=0.05)


def test_test_code_on_its_way_does_not_hide_a_real_one(database: Database) -> None:
    tried, real = send(database, trials.CALLER, "+201000000001"), send(database, SHOP, "+20100001")
    end(database, Sent(tried, "t", NOW), Sent(real, "r", NOW))
    deliver(database, "r", after_ms=500)
    assert numbers(database, NOW + 1000).hour.success_rate == 1.0
    assert numbers(database).hour.success_rate == 1.0


def test_test_code_to_the_own_number_is_not_left_out_twice(database: Database) -> None:
    tried, real = send(database, trials.CALLER, "+201000000001"), send(database, SHOP, "+20100001")
    own = Misaddressed(tried, OwnNumber().sentence, NOW)
    end(database, own, Sent(real, "r", NOW))
    hour = numbers(database).hour
    assert (hour.success_rate, hour.judged) == (0.0, 1)


def test_test_code_is_left_out_of_the_periods_that_count_it(database: Database) -> None:
    tried = send(database, trials.CALLER, "+201000000001")
    end(database, Failed(tried, BROKEN, NOW))
    real = send(database, SHOP, "+20100001")
    end(database, Sent(real, "r", NOW))
    found = numbers(database, NOW + 2 * HOUR_MS)
    assert (found.hour.judged, found.day.judged) == (0, 1)
