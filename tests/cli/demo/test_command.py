"""`hudhud demo` without its package."""

import sys

import pytest

from support.command_line import Run


def test_demo_without_its_package_says_how_to_install_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "waemu.client", None)
    ended = run("demo")
    assert ended.code == 1
    assert "make demo" in ended.err
    assert ended.err.count("\n") == 1
