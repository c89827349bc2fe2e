import sys, importlib.util, dataclasses
import pytest

spec = importlib.util.spec_from_file_location(
    "vm", "/work/main/tests/db/test_verification_machine.py"
)
vm = importlib.util.module_from_spec(spec)
sys.modules["vm"] = vm
spec.loader.exec_module(vm)
from hudhud import endings, checks, resends


def m_none(mp):
    pass


def m_erase(mp):
    mp.setattr(endings, "ERASED", {"code_index": None})


def m_attempts(mp):
    o = checks.Standing.after
    mp.setattr(
        checks.Standing,
        "after",
        lambda self, *, is_right, most, now: o(self, is_right=is_right, most=most + 1, now=now),
    )


def m_expiry(mp):
    o = checks.Standing.after
    mp.setattr(
        checks.Standing,
        "after",
        lambda self, *, is_right, most, now: o(
            dataclasses.replace(self, expires_at=self.expires_at + 1000),
            is_right=is_right,
            most=most,
            now=now,
        ),
    )


def m_cancel(mp):
    mp.setattr(endings, "_cancel_messages", lambda c, ids, *, now, who=None: 0)


def m_reopen(mp):
    mp.setattr(endings, "reopen", lambda c, ids: None)


def m_fail(mp):
    mp.setattr(endings, "fail", lambda c, ids, *, now: None)


def m_wait(mp):
    mp.setattr(resends, "WAITS", (30, 60, 60))


def m_waiting(mp):
    mp.setattr(resends, "SENDING", "x")


def m_twice(mp):
    o = checks.Standing.after
    mp.setattr(
        checks.Standing,
        "after",
        lambda self, *, is_right, most, now: o(
            dataclasses.replace(self, status="pending")
            if self.status == "approved" and is_right
            else self,
            is_right=is_right,
            most=most,
            now=now,
        ),
    )


@pytest.mark.parametrize(
    "m",
    [m_none, m_erase, m_attempts, m_expiry, m_cancel, m_reopen, m_fail, m_wait, m_waiting, m_twice],
)
def test_m(database, monkeypatch, m):
    m(monkeypatch)
    vm.test_no_order_of_events_approves_twice_too_late_or_beyond_the_attempts(database, monkeypatch)
