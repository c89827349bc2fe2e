"""A neonize client in its own process, for the emulator's tests.

Usage: linked_client.py STORE PROXY, with the emulator's environment. It prints a line of JSON for
each event and reads commands as lines of JSON: {"do": "send", …}. It ends with its standard input.
"""

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

# Otherwise neonize requires a system library that it needs only for media.
sys.modules.setdefault("magic", ModuleType("magic"))

from neonize import events  # noqa: E402 -- after the line above
from neonize._binder import ProxySettings  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message  # noqa: E402
from neonize.utils.jid import build_jid  # noqa: E402

from waemu.keypatch import patch_root_key  # noqa: E402

# The Go library prints to standard output, so the events use a separate descriptor.
_output = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
_lock = threading.Lock()


def tell(event: str, **details: Any) -> None:
    with _lock:
        _output.write(json.dumps({"event": event, **details}) + "\n")


class Client(NewClient):  # type: ignore[misc] # neonize has no types
    def _NewClient__onLoginStatus(self, _uuid: int, status: int) -> None:  # noqa: N802
        tell("login", status=ctypes.string_at(status).decode())


def reason(event: Any) -> str:
    field = event.DESCRIPTOR.fields_by_name["Reason"]
    name: str = field.enum_type.values_by_number[event.Reason].name
    return name


def watch(client: NewClient) -> None:
    """Report every relevant event."""
    client.qr(lambda _client, code: tell("qr", code=code.decode()))
    plain = ["Connected", "Disconnected", "StreamReplaced", "ClientOutdated", "KeepAliveTimeout"]
    plain += ["UndecryptableMessage"]
    for name in plain:
        client.event(getattr(events, name + "Ev"))(lambda _c, _e, name=name: tell(name))
    details: dict[str, Callable[[Any], dict[str, Any]]] = {
        "LoggedOut": lambda e: {"on_connect": e.OnConnect, "reason": reason(e)},
        "StreamError": lambda e: {"code": e.Code},
        "ConnectFailure": lambda e: {"reason": reason(e)},
        "TemporaryBan": lambda e: {"code": int(e.Code), "expire": int(e.Expire)},
        "Receipt": lambda e: {"ids": list(e.MessageIDs), "type": e.ReceiptType.Name(e.Type)},
        "Message": lambda e: {
            "id": e.Info.ID,
            "text": e.Message.conversation,
            "lid": e.Info.MessageSource.Sender.User,
            "number": e.Info.MessageSource.SenderAlt.User,
            "from_me": e.Info.MessageSource.IsFromMe,
            "edit": e.IsEdit,
            "raw": e.Message.SerializeToString().hex(),
        },
    }
    for name, describe in details.items():
        client.event(getattr(events, name + "Ev"))(
            lambda _c, e, name=name, describe=describe: tell(name, **describe(e))
        )


def connect(client: NewClient, proxy: str) -> None:
    try:
        client.connect(ProxySettings(proxy))
        tell("returned")
    except Exception as error:  # the test reports any error
        tell("failed", error=str(error))


def obey(client: NewClient, command: dict[str, Any]) -> dict[str, Any]:
    match command:
        case {"do": "send", "to": to, "text": text}:
            address = build_jid(to, command.get("server", "s.whatsapp.net"))
            sent = client.send_message(address, Message(conversation=text))
            return {"id": sent.ID}
        case {"do": "check", "numbers": numbers}:
            found = client.is_on_whatsapp(*numbers)
            return {
                "known": {each.Query: each.IsIn for each in found},
                "users": [each.JID.User for each in found],
            }
        case {"do": "pair_phone", "number": number}:
            return {"code": client.PairPhone(number, True)}  # noqa: FBT003 - neonize's signature
        case {"do": "stop"}:
            client.stop()
            return {}
    raise ValueError(f"unknown command {command}")


def obey_and_tell(client: NewClient, command: dict[str, Any]) -> None:
    try:
        tell("done", command=command["do"], **obey(client, command))
    except Exception as error:  # the test reports any error
        tell("error", command=command["do"], error=str(error))


def main() -> None:
    store, proxy = sys.argv[1:]
    patch_root_key(bytes.fromhex(os.environ["WAEMU_ROOT_KEY"]))
    client = Client(store, uuid="test")
    watch(client)
    threading.Thread(target=connect, args=(client, proxy), daemon=True).start()
    for line in sys.stdin:
        command = json.loads(line)
        threading.Thread(target=obey_and_tell, args=(client, command), daemon=True).start()
    os._exit(0)  # the library's threads would keep the interpreter alive


main()
