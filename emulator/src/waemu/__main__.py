"""Run the emulator in its own process: `python -m waemu --dir DIR`.

Prints its addresses as one line of JSON and runs until SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from waemu.control import ControlServer, Operations
from waemu.server import Server

_POLL_SECONDS = 0.05


def main() -> None:
    """Run the emulator until a signal stops it."""
    arguments = _parse()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Clients that disconnect during the handshake are expected; websockets logs them as errors.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(_run(arguments))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="waemu", description="A local WhatsApp server.")
    parser.add_argument("--dir", type=Path, required=True, help="where ca.pem is written")
    parser.add_argument("--control-port", type=int, default=0, help="default: a free one")
    parser.add_argument("--verbose", action="store_true", help="log every stanza to stderr")
    parser.add_argument(
        "--die-with-parent", action="store_true", help="stop when standard input ends"
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    arguments.dir.mkdir(parents=True, exist_ok=True)
    server = Server(arguments.dir)
    await server.start()
    control = ControlServer(Operations(server), loop, arguments.control_port)
    threading.Thread(target=control.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
    if arguments.die_with_parent:
        loop.add_reader(sys.stdin, _read_parent, stop)
    print(json.dumps(_addresses(server, control)), flush=True)  # noqa: T201 - this is the output
    await stop.wait()
    await asyncio.to_thread(control.shutdown)
    control.server_close()
    await server.stop()


def _read_parent(stop: asyncio.Event) -> None:
    """Stop when standard input, a pipe from the parent process, ends."""
    if not os.read(sys.stdin.fileno(), 1):
        stop.set()


def _addresses(server: Server, control: ControlServer) -> dict[str, str]:
    return {
        "proxy": f"http://127.0.0.1:{server.proxy.port}",
        "ca": str(server.ca.resolve()),
        "root_key": server.keys.root_key.hex(),
        "control": f"http://127.0.0.1:{control.server_port}",
        "websocket": f"wss://localhost:{server.port}/ws/chat",
    }


if __name__ == "__main__":
    main()
