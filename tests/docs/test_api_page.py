"""docs/api.md explains exactly the words that the API returns in `error`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from hudhud.core import errors
from hudhud.web.http.errors import SENDER_RESTRICTED

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "hudhud"
ROW = re.compile(r"^\| (?P<status>\d{3}) \| `(?P<word>\w+)` \|", re.MULTILINE)
REFUSALS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.Refused)
}
STATUS = {
    "BadRequest": "400",
    "NotAllowed": "403",
    "NotFound": "404",
    "Conflict": "409",
    "Gone": "410",
    "UnsupportedBody": "415",
    "Contradiction": "422",
    "NotReady": "503",
    "TooMany": "429",
}


def refusals(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Return class and word of each error raised with a word."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in REFUSALS and len(node.args) > 1:
            word = node.args[1]
            if isinstance(word, ast.Constant):
                yield node.func.id, str(word.value)
            elif isinstance(word, ast.Name) and word.id in constants:
                yield node.func.id, str(constants[word.id])
            else:
                assert isinstance(word, ast.Name), ast.unparse(node)
                yield node.func.id, constant_of(imported[word.id])


def constant_of(path: str) -> str:
    module, _, name = path.rpartition(".")
    file = SOURCES.parent.joinpath(*module.split(".")).with_suffix(".py")
    found = re.search(rf'^{name} = "(\w+)"', file.read_text(), re.MULTILINE)
    assert found, path
    return found[1]


def answered() -> set[tuple[str, str]]:
    # LimitReached, TooManyWrongCodes and SenderRestricted set their own words.
    found = {
        ("429", "rate_limited"),
        ("429", "too_many_wrong_codes"),
        ("503", SENDER_RESTRICTED),
    }
    for file in SOURCES.rglob("*.py"):
        for kind, word in refusals(ast.parse(file.read_text())):
            found.add((STATUS[kind], word))
    return found


def test_every_error_word_is_explained_with_its_status() -> None:
    explained = {
        (row["status"], row["word"]) for row in ROW.finditer((ROOT / "docs/api.md").read_text())
    }
    assert explained == answered()
