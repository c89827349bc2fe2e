"""Installed packages are pinned and complete; published files name no machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import hudhud
from hudhud.messages.templates.shipped import SHIPPED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / f"requirements/{name}.txt" for name in ("run", "demo", "dev", "node")]
NPM_FOLDERS = [ROOT, ROOT / "tests/browser", ROOT / "tests/emulator/crosscheck"]

MACHINE_PATH = re.compile(r"(?<![\w.~])/(work|root|home|Users)/\w")
REGISTRY = re.compile(
    r"(pypi|pythonhosted|npmjs|yarnpkg|debian|ubuntu)\.(org|com)\b|(crates|golang)\.(io|org)\b"
)


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _declared(folder: Path) -> set[str]:
    return {_name(requirement) for requirement in _project(folder)["project"]["dependencies"]}


def _pins(lock: Path) -> dict[str, str]:
    """Return version, marker and hashes by name in a lock file."""
    entries = re.split(r"^(?=\w)", lock.read_text(), flags=re.MULTILINE)
    return {_name(entry): entry[len(_name(entry)) :] for entry in entries if entry.strip()}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_pins_every_package_with_hashes_and_without_addresses(lock: Path) -> None:
    pins = _pins(lock)
    assert pins
    for name, pin in pins.items():
        assert re.match(r"(\[[\w,-]+\])?==\S+", pin), name
        assert "--hash=sha256:" in pin, name
    assert "://" not in lock.read_text()


def test_larger_lock_contains_the_smaller_one_with_the_same_versions() -> None:
    for smaller, larger in pairwise(LOCKS[:3]):
        versions = [
            {name: pin.split()[0] for name, pin in _pins(lock).items()}
            for lock in (smaller, larger)
        ]
        assert versions[0].items() <= versions[1].items()


def test_locks_contain_the_required_packages() -> None:
    groups = _project(ROOT)["dependency-groups"]
    assert _declared(ROOT) | set(map(_name, groups["build"])) <= _pins(LOCKS[0]).keys()
    assert _declared(ROOT / "emulator") <= _pins(LOCKS[1]).keys()
    assert set(map(_name, groups["dev"])) <= _pins(LOCKS[2]).keys()
    assert set(map(_name, groups["node"])) == _pins(LOCKS[3]).keys()


@pytest.mark.parametrize("folder", NPM_FOLDERS, ids=lambda path: path.name)
def test_npm_packages_are_pinned_without_an_address(folder: Path) -> None:
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    del locked[""]
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name


def test_the_version_is_the_same_everywhere() -> None:
    assert _project(ROOT)["project"]["version"] == hudhud.__version__


def test_no_published_file_names_a_machine_or_registry() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the git of the developer's machine
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found = []
    for name in listing.stdout.decode().rstrip("\0").split("\0"):
        path = ROOT / name
        if path.is_file():  # deleted files stay listed until the next commit
            text = path.read_text(errors="ignore")
            found += [f"{name}: {hit[0]}" for hit in MACHINE_PATH.finditer(text)]
            found += [f"{name}: {hit[0]}" for hit in REGISTRY.finditer(text)]
    assert found == []


def _build(project: Path, target: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(target)],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_archives_contain_browser_libraries_and_run_time_files(
    tmp_path: Path,
) -> None:
    built = _build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        source = [name.partition("/")[2] for name in archive.getnames()]
    static = "hudhud/web/static"
    needed = {
        f"{static}/docs.js",
        f"{static}/vendor/swagger-ui-dist/swagger-ui-bundle.js",
        f"{static}/vendor/swagger-ui-dist/swagger-ui.css",
        f"{static}/vendor/swagger-ui-dist/LICENSE",
        "hudhud/db/migrations/env.py",
        *(f"hudhud/messages/templates/wordings/{locale}.toml" for locale in SHIPPED),
    }
    assert needed <= set(wheel)
    assert {f"src/{name}" for name in needed} <= set(source)
    assert {"hatch_build.py", "package-lock.json", ".npmrc", "requirements/node.txt"} <= set(source)


def test_build_without_npm_access_ends_with_one_line(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src/hudhud").mkdir(parents=True)
    (project / "src/hudhud/__init__.py").touch()
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "hatch_build.py",
        "package.json",
        "package-lock.json",
        ".npmrc",
    ):
        shutil.copy(ROOT / name, project)
    built = _build(
        project,
        tmp_path,
        npm_config_registry="http://127.0.0.1:1/",  # nothing listens there
        npm_config_cache=str(tmp_path / "cache"),
        npm_config_fetch_retries="0",
    )
    assert built.returncode == 1
    _target, line = built.stderr.splitlines()
    assert line.startswith("Hudhud's browser libraries are missing: npm ci ended with 1: ")
    assert "ECONNREFUSED" in line
