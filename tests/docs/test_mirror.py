"""The tests of a module have its folder and name."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SOURCES = TESTS.parent / "src" / "hudhud"
# Tests of whole processes, documents and clocks have no module of their own.
EXEMPT = {"acceptance", "browser", "chaos", "docs", "emulator", "support"}
MIRRORED = [
    path.relative_to(TESTS)
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in EXEMPT
]


@pytest.mark.parametrize("test", MIRRORED, ids=str)
def test_each_test_file_mirrors_a_module(test: Path) -> None:
    subject = test.stem.removeprefix("test_")
    package = SOURCES / test.parent
    modules = {path.stem for path in package.iterdir()} | {package.name}
    assert any(f"{subject}_".startswith(f"{module}_") for module in modules)
