"""No test patches a constant or a clock: what it wants otherwise it gives to a constructor.

A constant that is patched is read by all that the module makes, and by nothing once it has moved to
a `Timing` or a parameter: the test then waits as long as in use, and nobody notices.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = [path.relative_to(TESTS) for path in sorted(TESTS.rglob("*.py"))]
CLOCKS = frozenset({"Timing", "_clock", "clock", "monotonic", "now_ms", "perf_counter", "sleep"})
PATCHING = frozenset({"delattr", "object", "patch", "setattr"})


def patched(source: str) -> list[str]:
    """Return the constants and clocks that a test's source patches."""
    nodes = ast.walk(ast.parse(source))
    names = [name for node in nodes for name in (*_by_call(node), *_by_assignment(node))]
    return [name for name in names if name.lstrip("_").isupper() or name in CLOCKS]


def _by_call(node: ast.AST) -> Iterator[str]:
    """Yield what a call names whose function patches: `setattr(owner, "NAME", …)` and the like."""
    if isinstance(node, ast.Call) and _called(node) in PATCHING:
        yield from map(_last_word, node.args[:2])


def _by_assignment(node: ast.AST) -> Iterator[str]:
    """Yield the attribute that is assigned to, unless it is the test's own."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if not is_own:
            yield node.attr


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _last_word(argument: ast.expr) -> str:
    """Return the name at the end of a text, as in "hudhud.core.clock.now_ms", else ""."""
    if isinstance(argument, ast.JoinedStr):
        argument = argument.values[-1]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value.rpartition(".")[2]
    return ""


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_test_patches_no_constant_and_no_clock(file: Path) -> None:
    assert patched((TESTS / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(worker, "IDLE_SECONDS", 0.1)',
        'monkeypatch.setattr("hudhud.db.migrate.ATTEMPTS", 2)',
        'monkeypatch.setattr(f"hudhud.verification.{module}.now_ms", moment)',
        'monkeypatch.setattr(inbox, "_KEPT", 2)',
        'setattr(records, "HEARTBEAT_MS", 100)',
        'mock.patch("hudhud.worker.send.now_ms")',
        'mock.patch.object(channel, "Timing", impatient)',
        "supervisor.LONGEST_RESTART_SECONDS = 0.25",
    ],
)
def test_a_patch_is_noticed(line: str) -> None:
    assert len(patched(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr(queue, "claim", claim)',
        'monkeypatch.setattr("hudhud.db.migrate.__version__", "0.1.0")',
        'monkeypatch.setenv("OTP_TTL_SECONDS", "60")',
        "one.rows = MOST_ROWS",
        "self.now = NOW",
    ],
)
def test_what_is_no_constant_of_a_module_may_be_replaced(line: str) -> None:
    assert patched(line) == []
