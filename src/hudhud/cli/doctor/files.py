"""Checks of folders and files: existence, write access, access by others."""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hudhud.cli.doctor.finding import Finding, Installation, fail, ok, warn
from hudhud.core.env_files import ENV_FILES
from hudhud.core.errors import SettingsError
from hudhud.db.location import choose_database
from hudhud.messages.templates import catalog, operator_file
from hudhud.verification.build import database_place_of

OTHERS = 0o077
NAMED_FILES = 3
LOW_BYTES = 1_000_000_000
TOO_FEW_BYTES = 100_000_000
SIDE_FILES = ("", "-wal", "-shm")


def data_folder(installation: Installation) -> Finding:
    """Check that the data folder is writable and closed to other users."""
    folder = installation.settings.data_dir
    problem = _problem_with_folder(folder, "DATA_DIR")
    if problem is not None:
        return problem
    if not folder.exists():
        return ok(f"{folder} does not exist yet; the first start creates it.")
    status = folder.stat()
    if status.st_mode & OTHERS:
        return warn(f"Other users can read {folder}.", f"chmod 700 {folder}")
    return ok(f"{folder} exists, and only its owner can read it.")


def private_files(installation: Installation) -> Finding:
    """Check that only the owner can read secret, database, session and settings."""
    loose = sorted(file for file in _secret_files(installation) if file.stat().st_mode & OTHERS)
    if loose:
        named = " ".join(str(file) for file in loose[:NAMED_FILES])
        more = len(loose) - NAMED_FILES
        return fail(
            f"Other users can read files with secrets: {named}"
            + (f" and {more} more." if more > 0 else "."),
            "chmod 600 " + " ".join(str(file) for file in loose),
        )
    return ok("Only their owner can read secret, database, session and settings.")


def disk_space(installation: Installation) -> Finding:
    """Check that the database has room to grow."""
    folder = _existing(installation.settings.data_dir)
    free = shutil.disk_usage(folder).free
    sentence = f"{free / 1e9:.1f} GB are free in {folder}."
    remedy = "Free some space; on a full disk, requests are refused with 503."
    if free < TOO_FEW_BYTES:
        return fail(sentence, remedy)
    return warn(sentence, remedy) if free < LOW_BYTES else ok(sentence)


def log_folder(installation: Installation) -> Finding:
    """Check that log files can be written."""
    folder = installation.settings.log_dir
    problem = _problem_with_folder(folder, "LOG_DIR")
    if problem is not None:
        return warn(problem.sentence, problem.remedy or "")  # Hudhud also runs without log files
    locked = [file for file in folder.glob("*.log") if not os.access(file, os.W_OK)]
    if locked:
        return warn(f"{locked[0]} cannot be written.", f"chown $(id -un) {folder}/*.log")
    return ok(f"Log files go to {folder}.")


def own_texts(installation: Installation) -> Finding:
    """Check the operator's file of texts, if there is one."""
    file = installation.settings.data_dir / catalog.FILE
    try:
        operator_file.read(file)
    except SettingsError as error:
        return fail(
            str(error).splitlines()[0], "Correct it. To list all errors: hudhud templates check"
        )
    return ok(f"{file} is valid." if file.exists() else "The built-in texts are used.")


def _problem_with_folder(folder: Path, setting: str) -> Finding | None:
    """Return why this user cannot write to the folder or create it."""
    if folder.exists() and not folder.is_dir():
        return fail(f"{folder} is not a folder.", f"Move it away, or set {setting}.")
    place = _existing(folder)
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return fail(
            f"This user cannot write to {place}.",
            f"chown -R $(id -un) {place}, or set {setting} to another folder.",
        )
    return None


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


def _secret_files(installation: Installation) -> Iterator[Path]:
    yield from (file for file in ENV_FILES if file.is_file())
    folder = installation.settings.data_dir
    kept = _regular(folder.rglob("*") if folder.is_dir() else ())
    yield from (file for file in kept if file != folder / catalog.FILE)
    database = choose_database(database_place_of(installation.settings)).file
    if database is not None and database.parent != folder:
        yield from _regular(database.with_name(database.name + end) for end in SIDE_FILES)


def _regular(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                yield path
        except FileNotFoundError:  # a running Hudhud creates and deletes side files
            continue
