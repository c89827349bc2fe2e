"""Checks of folders and files: do they exist, may Hudhud write them, may others read them?"""

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
    """Is the data folder there, ours, and closed to others?"""
    folder = installation.settings.data_dir
    problem = _problem_with_folder(folder, "DATA_DIR")
    if problem is not None:
        return problem
    if not folder.exists():
        return ok(f"{folder} does not exist yet; the first start makes it.")
    status = folder.stat()
    if status.st_mode & OTHERS:
        return warn(f"Other users may look into {folder}.", f"chmod 700 {folder}")
    return ok(f"{folder} is there and open to its owner alone.")


def private_files(installation: Installation) -> Finding:
    """Can only their owner read the secret, the database, the session and the settings?"""
    loose = sorted(file for file in _secret_files(installation) if file.stat().st_mode & OTHERS)
    if loose:
        named = " ".join(str(file) for file in loose[:NAMED_FILES])
        more = len(loose) - NAMED_FILES
        return fail(
            f"Other users may read files with secrets: {named}"
            + (f" and {more} more." if more > 0 else "."),
            "chmod 600 " + " ".join(str(file) for file in loose),
        )
    return ok("Secret, database, session and settings can be read by their owner alone.")


def disk_space(installation: Installation) -> Finding:
    """Is there room for the database to grow?"""
    folder = _existing(installation.settings.data_dir)
    free = shutil.disk_usage(folder).free
    sentence = f"{free / 1e9:.1f} GB are free where {folder} is."
    remedy = "Free some space; without it requests are refused with 503."
    if free < TOO_FEW_BYTES:
        return fail(sentence, remedy)
    return warn(sentence, remedy) if free < LOW_BYTES else ok(sentence)


def log_folder(installation: Installation) -> Finding:
    """Can log files be written?"""
    folder = installation.settings.log_dir
    problem = _problem_with_folder(folder, "LOG_DIR")
    if problem is not None:
        return warn(problem.sentence, problem.remedy or "")  # Hudhud goes on without log files
    locked = [file for file in folder.glob("*.log") if not os.access(file, os.W_OK)]
    if locked:
        return warn(f"{locked[0]} cannot be written.", f"chown $(id -un) {folder}/*.log")
    return ok(f"Log files go to {folder}.")


def own_texts(installation: Installation) -> Finding:
    """Is the file of own texts right, where there is one?"""
    file = installation.settings.data_dir / catalog.FILE
    try:
        operator_file.read(file)
    except SettingsError as error:
        return fail(str(error).splitlines()[0], "Mend it. All mistakes: hudhud templates check")
    return ok(f"{file} is right." if file.exists() else "The texts are those that ship.")


def _problem_with_folder(folder: Path, setting: str) -> Finding | None:
    """Return what keeps this user from writing in the folder, or from making it."""
    if folder.exists() and not folder.is_dir():
        return fail(f"{folder} is not a folder.", f"Move it away, or set {setting}.")
    place = _existing(folder)
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return fail(
            f"This user cannot write in {place}.",
            f"chown -R $(id -un) {place}, or set {setting} to another folder.",
        )
    return None


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
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
        except FileNotFoundError:  # a running Hudhud makes and removes side files
            continue
