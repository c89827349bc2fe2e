"""The secret: created once, agreed on between starts, and kept private."""

import threading
from pathlib import Path

import pytest

from hudhud.core.errors import StartRefused
from hudhud.core.secret import find_secret, load_secret

ONE = "secret number one, long enough"
DATA = Path("data")


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_configured_secret_is_used_unchanged() -> None:
    assert load_secret(ONE, DATA, is_shared=False) == ONE
    assert not Path("data").exists()


def test_unset_secret_is_created_once_and_private() -> None:
    secret = load_secret(None, DATA, is_shared=False)
    assert len(secret) >= 64
    assert load_secret(None, DATA, is_shared=False) == secret
    assert mode(Path("data/secret")) == 0o600
    assert mode(Path("data")) == 0o700
    assert [file.name for file in Path("data").iterdir()] == ["secret"]


def test_simultaneous_starts_agree_on_one_secret() -> None:
    count = 8
    barrier = threading.Barrier(count)
    found: list[str] = []

    def start() -> None:
        barrier.wait()
        found.append(load_secret(None, DATA, is_shared=False))

    threads = [threading.Thread(target=start) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == count
    assert len(set(found)) == 1


def test_postgresql_requires_a_configured_secret() -> None:
    with pytest.raises(StartRefused, match="SESSION_SECRET is not set"):
        load_secret(None, DATA, is_shared=True)
    assert not Path("data").exists()


def test_looking_for_a_secret_finds_what_a_start_would_take_and_makes_none() -> None:
    assert find_secret(None, DATA, is_shared=False) is None
    assert not DATA.exists()
    made = load_secret(None, DATA, is_shared=False)
    assert find_secret(None, DATA, is_shared=False) == made
    assert find_secret(ONE, DATA, is_shared=False) == ONE


def test_a_file_is_no_secret_of_a_database_that_machines_share() -> None:
    load_secret(None, DATA, is_shared=False)
    assert find_secret(None, DATA, is_shared=True) is None
    with pytest.raises(StartRefused, match="SESSION_SECRET is not set"):
        load_secret(None, DATA, is_shared=True)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_damaged_secret_is_never_replaced(content: bytes) -> None:
    Path("data").mkdir()
    Path("data/secret").write_bytes(content)
    with pytest.raises(StartRefused, match="data/secret"):
        load_secret(None, DATA, is_shared=False)
    assert Path("data/secret").read_bytes() == content


def test_a_folder_that_cannot_hold_the_secret_stops_the_start() -> None:
    Path("data").touch()
    with pytest.raises(StartRefused, match="SESSION_SECRET"):
        load_secret(None, DATA, is_shared=False)
