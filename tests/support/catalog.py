"""What the Arabic catalog must hold: texts of templates and code, and sentences of the database."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_from_dir

import hudhud

PACKAGE = Path(hudhud.__file__).parent
WEB = PACKAGE / "web"
METHODS = [("pages/**.html", "jinja2.ext:babel_extract"), ("admin/**.py", "python")]
OPTIONS = {"pages/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
# Modules whose sentences reach the dashboard through the database or as a refusal.
SPEAKERS = [
    "senders.py",
    "sender_cards.py",
    "channels/linked/faults.py",
    "channels/linked/channel.py",
    "channels/linked/connection.py",
    "channels/sandbox.py",
    "queue.py",
    "delivery.py",
    "control.py",
    "commands.py",
    "sealing.py",
    "api_keys.py",
    "key_settings.py",
    "login_limit.py",
    "webhooks.py",
    "outgoing.py",
    "posting.py",
    "deliveries.py",
    "dispatcher.py",
    "web/admin/guard.py",
    "web/admin/entrance.py",
    "web/admin/hashing.py",
    "web/admin/second_factor.py",
    "web/admin/keys_page.py",
    "web/admin/key_form.py",
    "web/admin/webhooks_page.py",
    "web/admin/deliveries_page.py",
    "web/admin/job_query.py",
    "web/admin/forms.py",
]
# Of these, those that say why a message did not go out.
OF_JOBS = ["queue.py", "delivery.py", "sealing.py", "channels/linked/channel.py"]
# What these calls say goes to the log, to scripts, to the command line or to the type checker.
ELSEWHERE = frozenset({"Restart", "warning", "error", "info", "cast"})
# Of the refusals, those that only scripts can meet.
FOR_SCRIPTS = {
    "Authentication required",
    "Second factor required",
    "Several keys fit {text}: {prefixes}. Write more of the one.",
}
# Sentences may begin with the parameter that they are about.
BEGINNING = re.compile(r"[A-Z]|(\w+|\{name\}): ")
# A text, or its forms, and its context.
Message = tuple[str | tuple[str, ...], str | None]


def marked() -> set[Message]:
    """Return the texts that templates and code mark for translation."""
    found = extract_from_dir(WEB, METHODS, OPTIONS)
    return {(message, context) for _file, _line, message, _comments, context in found}


def sentences() -> set[Message]:
    """Return the sentences of `SPEAKERS`, with `{detail}` where something is put in."""
    found = {text for name in SPEAKERS for text in _sentences(PACKAGE / name)}
    return {(text, None) for text in found - FOR_SCRIPTS}


def errors_of_jobs() -> set[str]:
    """Return the sentences that can be a message's error."""
    elsewhere = ELSEWHERE | {"CommandFailed"}
    return {text for name in OF_JOBS for text in _sentences(PACKAGE / name, elsewhere)}


def _sentences(path: Path, elsewhere: frozenset[str] = ELSEWHERE) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skipped = {id(part) for node in ast.walk(tree) for part in _skipped(node, elsewhere)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        text = _text(node)
        if text and BEGINNING.match(text) and " " in text:
            yield text


def _skipped(node: ast.AST, elsewhere: frozenset[str]) -> Iterator[ast.AST]:
    """Yield what is no sentence of its own: docstrings, parts of f-strings, what goes elsewhere."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    if isinstance(node, ast.Call) and _name(node.func) in elsewhere:
        yield from ast.walk(node)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or _hole(part) for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _hole(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    is_plain = isinstance(part.value, ast.Name) and part.value.id.islower()
    return f"{{{ast.unparse(part.value)}}}" if is_plain else "{detail}"
