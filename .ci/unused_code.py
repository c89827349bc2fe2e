"""List unused names; exit with 1 if there are any.

vulture cannot read the pages, which use some names. Names of Hudhud that only tests use count as
unused.
"""

import re
import sys
from pathlib import Path

from vulture.core import Item, Vulture

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "src/hudhud/web/pages"
# The expressions that Jinja evaluates in a page; the rest is text.
EXPRESSIONS = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
# Their fields are read elsewhere: msgspec writes them to JSON, Alembic runs the revisions.
DECLARATIONS = ("web/api/schemas.py", "db/migrations/versions/")
DECORATORS = [
    "@*.command",  # typer
    "@field_validator",  # pydantic
    "@model_validator",
]
NAMES = [
    # Base classes of libraries call or read them.
    "cache_ok", "impl", "process_bind_param",  # SQLAlchemy's types
    "connect_unix_socket",  # httpcore
    "capture_signals", "should_exit",  # uvicorn
    "model_config",  # pydantic
    "to_schema",  # litestar
    "format_epilog", "format_options", "list_commands", "resolve_command",  # typer
    "_NewClient__onLoginStatus",  # neonize
    "connection_lost", "connection_made", "data_received",  # asyncio's protocols
    "daemon_threads", "disable_nagle_algorithm", "do_POST", "log_message", "request_queue_size",
    # Attributes set on other modules' objects for their effect.
    "Device", "disabled", "disconnected", "isolation_level", "new_device", "raiseExceptions",
    "RawAgent", "request_body", "unraisablehook", "waiting_for_100_continue",
    # Names looked up at run time: limits, log levels, parameters of a statement.
    "b_*", "critical", "limit_per_*", "limit_wrong_codes", "limit_links",
    # Imports for annotations in quotes, which vulture misses.
    "NotifyBase", "PostgresInsert", "ReceivedMessage", "SqliteInsert",
    "traceback",  # a parameter of __exit__
]  # fmt: skip


def unused(*folders: str) -> list[Item]:
    """Return the names that neither the code nor the pages use."""
    vulture = Vulture(ignore_names=NAMES, ignore_decorators=DECORATORS)
    vulture.scavenge([ROOT / folder for folder in folders])
    for page in PAGES.rglob("*.html"):
        for expression in EXPRESSIONS.findall(page.read_text(encoding="utf-8")):
            vulture.used_names.update(re.findall(r"\w+", expression))
    return [item for item in vulture.get_unused_code() if not _declares(item)]


def _declares(item: Item) -> bool:
    return any(declaration in item.filename.as_posix() for declaration in DECLARATIONS)


def main() -> None:
    found = unused("src")
    # The emulator exists for the tests; pytest and hypothesis call the functions of the tests.
    everywhere = unused("src", "emulator/src", "benchmarks", "tests")
    found += [item for item in everywhere if not item.filename.is_relative_to(ROOT / "tests")]
    sys.exit("\n".join(sorted({item.get_report() for item in found})) or 0)


if __name__ == "__main__":
    main()
