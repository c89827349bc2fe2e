"""Simultaneous requests, each on an open connection."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 60.0
Connections = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


@dataclass(frozen=True)
class Answer:
    """A server's answer, with header names in lower case."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.text)


def post_at_once(
    ports: Sequence[int], path: str, bodies: Sequence[Any], headers: Mapping[str, str]
) -> list[Answer]:
    """POST JSON bodies to these ports in turn; return the answers."""
    requests = [_request(path, body, headers) for body in bodies]
    used = [ports[place % len(ports)] for place in range(len(bodies))]
    return asyncio.run(asyncio.wait_for(_post(used, requests), SECONDS))


async def _post(ports: Sequence[int], requests: Sequence[bytes]) -> list[Answer]:
    opening = (asyncio.open_connection("127.0.0.1", port) for port in ports)
    connections: Connections = await asyncio.gather(*opening)
    for (_, writer), request in zip(connections, requests, strict=True):
        writer.write(request)
    found = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections))
    return [_answer(one) for one in found]


def _request(path: str, body: Any, headers: Mapping[str, str]) -> bytes:
    content = json.dumps(body).encode()
    fields = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _answer(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in fields.items()}
    assert int(headers["content-length"]) == len(body)
    return Answer(int(first.split()[1]), headers, body.decode())
