"""Private files: written whole, readable only by their owner, and created once."""

import threading
from pathlib import Path

import pytest

from hudhud.core import private_files


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_file_is_created_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "name"
    private_files.make_once(file, "first")
    private_files.make_once(file, "second")
    assert file.read_text() == "first"
    assert mode(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_threads_that_create_a_file_simultaneously_get_the_same_content(tmp_path: Path) -> None:
    file = tmp_path / "name"
    barrier = threading.Barrier(8)
    found: list[str] = []

    def make(text: str) -> None:
        barrier.wait()
        private_files.make_once(file, text)
        found.append(file.read_text())

    threads = [threading.Thread(target=make, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_file_is_replaced_atomically(tmp_path: Path) -> None:
    file = tmp_path / "code.txt"
    (tmp_path / "code.new").write_text("of a run that was killed")
    private_files.replace(file, "first")
    private_files.replace(file, "second")
    assert file.read_text() == "second"
    assert mode(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_appending_makes_a_readable_file_private(
    tmp_path: Path,
) -> None:
    file = tmp_path / "credentials.txt"
    file.touch(mode=0o644)
    private_files.append(file, "one\n")
    private_files.append(file, "two\n")
    assert file.read_text() == "one\ntwo\n"
    assert mode(file) == 0o600


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="link"):
        private_files.append(tmp_path / "link", "secret")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("before", [0o755, 0o770, 0o701, 0o700])
def test_folder_is_narrowed_to_its_owner(tmp_path: Path, before: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(before)
    private_files.narrow(folder)
    assert mode(folder) == 0o700
