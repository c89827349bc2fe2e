"""Answer the queries (<iq>) of linked devices."""

from collections import deque
from collections.abc import Callable

from waemu import signal
from waemu.binary import SERVER, Jid, Node, StanzaError
from waemu.connection import ClientConnection
from waemu.directory import Directory
from waemu.faults import Faults
from waemu.pairing import Pairing
from waemu.phone import Companion, Phone, Prekeys

_DEVICE_REMOVED = Node(
    "stream:error", {"code": "401"}, [Node("conflict", {"type": "device_removed"})]
)


class Queries:
    """Answers each query by its xmlns, unknown ones with nothing."""

    def __init__(self, directory: Directory, pairing: Pairing, faults: Faults) -> None:
        self._directory = directory
        self._pairing = pairing
        self._faults = faults
        self._handlers: dict[str, Callable[[ClientConnection, Node], None]] = {
            "encrypt": self._encrypt,
            "usync": self._usync,
            "md": self._md,
        }

    def handle(self, connection: ClientConnection, query: Node) -> None:
        """Answer a query, or accept the client's answer to the server's query.

        Raises:
            StanzaError: the query lacks a required part.
        """
        if query.text("type") in ("result", "error"):
            self._pairing.answered(connection, query)
            return
        xmlns = query.text("xmlns")
        if xmlns in self._faults.iq_mute:
            return
        if xmlns in self._faults.iq_errors:
            code, _, text = self._faults.iq_errors[xmlns].partition(" ")
            connection.send(_error(query, code, text))
            return
        self._handlers.get(xmlns, _answer_empty)(connection, query)

    def unlink(self, companion: Companion) -> None:
        """Unlink a device and notify it now, or at its next login."""
        self._directory.unlink(companion)
        if companion.connection is not None:
            companion.connection.send_last(_DEVICE_REMOVED)

    def _md(self, connection: ClientConnection, query: Node) -> None:
        registration = query.find("link_code_companion_reg")
        if registration is not None and registration.text("stage") == "companion_hello":
            answer = self._pairing.request_code(connection, registration)
            missing = _error(query, "404", "item-not-found")
            connection.send(_result(query, [answer]) if answer else missing)
        elif registration is not None:
            connection.send(_result(query))
            self._pairing.finish_code(connection, registration)
        else:
            connection.send(_result(query))
            if query.find("remove-companion-device") is not None:
                self.unlink(_companion(connection))

    def _encrypt(self, connection: ClientConnection, query: Node) -> None:
        wanted = query.find("key")
        if query.text("type") == "set" and query.find("list") is not None:
            self._store_prekeys(_companion(connection), query)
            connection.send(_result(query))
        elif wanted is not None:
            users = [self._bundle(user.jid("jid")) for user in wanted.all("user")]
            connection.send(_result(query, [Node("list", content=users)]))
        elif query.find("count") is not None:
            prekeys = _companion(connection).prekeys
            count = len(prekeys.one_time) if prekeys else 0
            connection.send(_result(query, [Node("count", {"value": str(count)})]))
        else:
            connection.send(_result(query))

    def _store_prekeys(self, companion: Companion, query: Node) -> None:
        signed = query.need("skey")
        fresh = [_prekey(key) for key in query.need("list").all("key")]
        known = list(companion.prekeys.one_time) if companion.prekeys else []
        companion.prekeys = Prekeys(
            identity=query.need("identity").data,
            registration_id=int.from_bytes(query.need("registration").data, "big"),
            signed=_prekey(signed),
            signature=signed.need("signature").data,
            one_time=deque([*known, *fresh]),
        )

    def _bundle(self, jid: Jid) -> Node:
        phone = self._directory.find(jid)
        bundle = self._take_bundle(phone, jid.device) if phone else None
        if bundle is None:
            missing = Node("error", {"code": "404", "text": "item-not-found"})
            return Node("user", {"jid": jid}, [missing])
        return Node("user", {"jid": jid}, bundle_nodes(bundle))

    def _take_bundle(self, phone: Phone, device: int) -> signal.Bundle | None:
        if device == 0:
            return phone.signal.bundle()
        companion = phone.companions.get(device)
        return companion.prekeys.take_bundle() if companion and companion.prekeys else None

    def _usync(self, connection: ClientConnection, query: Node) -> None:
        """Answer a usync query: registered numbers, devices of accounts, LIDs."""
        usync = query.need("usync")
        wanted = [child.tag for child in usync.need("query").children]
        users = [self._usync_user(user, wanted) for user in usync.need("list").children]
        parts = [
            Node("result", content=[Node(tag) for tag in wanted]),
            Node("list", content=users),
        ]
        connection.send(_result(query, [Node("usync", dict(usync.attrs), parts)]))

    def _usync_user(self, user: Node, wanted: list[str]) -> Node:
        contact = user.find("contact")
        if contact is not None and "jid" not in user.attrs:
            return self._usync_contact(contact)
        jid = user.jid("jid")
        phone = self._registered(self._directory.find(jid))
        parts = _usync_parts(phone, wanted) if phone else []
        return Node("user", {"jid": jid}, parts)

    def _usync_contact(self, contact: Node) -> Node:
        number = contact.data.decode().lstrip("+").split("@", 1)[0]
        phone = self._registered(self._directory.check(number))
        attrs: dict[str, str | Jid] = {"jid": Jid(number)}
        if phone:
            attrs = {"jid": phone.lid, "pn_jid": phone.jid}
        answer = Node("contact", {"type": "in" if phone else "out"}, contact.data)
        return Node("user", attrs, [answer])

    def _registered(self, phone: Phone | None) -> Phone | None:
        return None if phone and phone.number in self._faults.unregistered else phone


def bundle_nodes(bundle: signal.Bundle) -> list[Node]:
    """Return the nodes of a bundle, for key queries and retry receipts."""
    signature = Node("signature", content=bundle.signature)
    nodes = [
        Node("registration", content=bundle.registration_id.to_bytes(4, "big")),
        Node("type", content=b"\x05"),
        Node("identity", content=bundle.identity),
        _prekey_node("skey", bundle.signed_prekey, signature),
    ]
    if bundle.prekey is not None:
        nodes.append(_prekey_node("key", bundle.prekey))
    return nodes


def _companion(connection: ClientConnection) -> Companion:
    if connection.companion is None:
        raise StanzaError("a query that needs a login")
    return connection.companion


def _result(query: Node, content: list[Node] | None = None) -> Node:
    return Node("iq", {"from": SERVER, "id": query.text("id"), "type": "result"}, content)


def _error(query: Node, code: str, text: str) -> Node:
    error = Node("error", {"code": code, "text": text})
    return Node("iq", {"from": SERVER, "id": query.text("id"), "type": "error"}, [error])


def _answer_empty(connection: ClientConnection, query: Node) -> None:
    connection.send(_result(query))


def _prekey(node: Node) -> signal.Prekey:
    return signal.Prekey(int.from_bytes(node.need("id").data, "big"), node.need("value").data)


def _prekey_node(tag: str, prekey: signal.Prekey, *more: Node) -> Node:
    number = Node("id", content=prekey.number.to_bytes(3, "big"))
    return Node(tag, content=[number, Node("value", content=prekey.public), *more])


def _usync_parts(phone: Phone, wanted: list[str]) -> list[Node]:
    parts = []
    if "devices" in wanted:
        devices = [Node("device", {"id": "0"})]
        devices += [
            Node("device", {"id": str(device), "key-index": str(device)})
            for device in phone.companions
        ]
        parts.append(Node("devices", content=[Node("device-list", {"hash": "2:emu"}, devices)]))
    if "lid" in wanted:
        parts.append(Node("lid", {"val": phone.lid}))
    if "status" in wanted:
        parts.append(Node("status", {"t": "0"}))
    return parts
