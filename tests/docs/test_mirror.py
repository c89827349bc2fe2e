"""The tests of a module lie in the same folder as the module, under its name."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SOURCES = TESTS.parent / "src" / "hudhud"
# Whole processes, documents and other clocks have no module of their own.
EXEMPT = {"acceptance", "browser", "chaos", "docs", "emulator", "support"}
MIRRORED = [
    path.relative_to(TESTS)
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in EXEMPT
]


@pytest.mark.parametrize("test", MIRRORED, ids=str)
def test_a_test_is_named_after_a_module_in_the_same_place(test: Path) -> None:
    subject = test.stem.removeprefix("test_")
    package = SOURCES / test.parent
    modules = {path.stem for path in package.iterdir()} | {package.name}
    assert any(f"{subject}_".startswith(f"{module}_") for module in modules)
