"""A local target for alerts."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """A local HTTP server that accepts or refuses apprise's JSON messages."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answer = 200
        self.tries = 0
        self.open = threading.Event()
        self.open.set()
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox.tries += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.open.wait(10)
                if inbox.answer == 200:
                    inbox.messages.append(body)
                self.send_response(inbox.answer)
                self.end_headers()

            def log_message(self, *_parts: object) -> None:
                """Log no requests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def titles(self) -> list[str]:
        """Return the titles of the accepted messages."""
        return [str(message["title"]) for message in self.messages]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
