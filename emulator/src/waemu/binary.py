"""Encode and decode stanzas (XML-like nodes) in their binary form.

A stanza on the wire is a flag byte (2 = zlib-compressed) and one encoded node. A node is a list:
the tag, the name and value of each attribute, then the content, if any.
"""

import zlib
from dataclasses import dataclass, field

from waemu.tokens import DOUBLE, DOUBLE_INDEX, SINGLE, SINGLE_INDEX

EMPTY = 0
DICTIONARY_0 = 236
DICTIONARY_3 = 239
DEVICE_JID = 247
LIST_8 = 248
LIST_16 = 249
JID_PAIR = 250
HEX_8 = 251
BINARY_8 = 252
BINARY_20 = 253
BINARY_32 = 254
NIBBLE_8 = 255

USER_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"

_NIBBLES = "0123456789-."
_HEX_DIGITS = "0123456789ABCDEF"
_PACKED_LIMIT = 127
_ODD = 0x80
_FILLER = 15
_COMPRESSED = 2
_DEVICE_SERVERS = {0: USER_SERVER, 1: LID_SERVER, 128: "hosted", 129: "hosted.lid"}
_DEVICE_SERVER_BYTES = {server: byte for byte, server in _DEVICE_SERVERS.items()}


class StanzaError(ValueError):
    """Malformed bytes, or a stanza that lacks a required part."""


@dataclass(frozen=True)
class Jid:
    """An address: a user (phone number or LID), server and device.

    Device 0 is the phone itself; the user "" means the server.
    """

    user: str
    server: str = USER_SERVER
    device: int = 0

    def __str__(self) -> str:
        device = f":{self.device}" if self.device else ""
        return f"{self.user}{device}@{self.server}" if self.user else self.server

    def with_device(self, device: int) -> "Jid":
        return Jid(self.user, self.server, device)


SERVER = Jid("")


@dataclass
class Node:
    """A stanza or an element within it.

    The content is None, bytes or a list of child nodes.
    """

    tag: str
    attrs: dict[str, str | Jid] = field(default_factory=dict)
    content: "bytes | list[Node] | None" = None

    @property
    def children(self) -> "list[Node]":
        return self.content if isinstance(self.content, list) else []

    @property
    def data(self) -> bytes:
        """Return the content as bytes.

        Raises:
            StanzaError: the node has no bytes.
        """
        if not isinstance(self.content, bytes):
            raise StanzaError(f"<{self.tag}> has no data")
        return self.content

    def find(self, *path: str) -> "Node | None":
        """Return the first descendant along a path of tags, or None."""
        node: Node | None = self
        for tag in path:
            if node is None:
                return None
            node = next((child for child in node.children if child.tag == tag), None)
        return node

    def need(self, *path: str) -> "Node":
        """Return the first descendant along a path of tags.

        Raises:
            StanzaError: there is no such descendant.
        """
        node = self.find(*path)
        if node is None:
            raise StanzaError(f"<{self.tag}> has no <{'/'.join(path)}>")
        return node

    def all(self, tag: str) -> "list[Node]":
        return [child for child in self.children if child.tag == tag]

    def text(self, name: str) -> str:
        """Return an attribute as text, or "" if it is absent."""
        return str(self.attrs.get(name, ""))

    def jid(self, name: str) -> Jid:
        """Return an attribute that is an address.

        Raises:
            StanzaError: it is absent or plain text.
        """
        value = self.attrs.get(name)
        if not isinstance(value, Jid):
            raise StanzaError(f"<{self.tag}> has no address in {name!r}")
        return value

    def __str__(self) -> str:
        attrs = "".join(f' {name}="{value}"' for name, value in self.attrs.items())
        if self.content is None:
            return f"<{self.tag}{attrs}/>"
        inner = (
            f"{len(self.content)} bytes"
            if isinstance(self.content, bytes)
            else "".join(str(child) for child in self.content)
        )
        return f"<{self.tag}{attrs}>{inner}</{self.tag}>"


def encode(node: Node) -> bytes:
    """Encode a stanza for a frame, without compression."""
    return b"\x00" + _encode_node(node)


def decode(frame: bytes) -> Node:
    """Decode a frame into a stanza.

    Raises:
        StanzaError: the bytes are not a stanza.
    """
    try:
        body = zlib.decompress(frame[1:]) if frame[0] & _COMPRESSED else frame[1:]
        return _Reader(body).node()
    except (IndexError, UnicodeDecodeError, zlib.error) as error:
        raise StanzaError(f"not a stanza: {error}") from error


def _encode_node(node: Node) -> bytes:
    content = node.content or None if isinstance(node.content, list) else node.content
    parts = [_encode_list_size(1 + 2 * len(node.attrs) + (content is not None))]
    parts.append(_encode_text(node.tag))
    for name, value in node.attrs.items():
        parts.append(_encode_text(name))
        parts.append(_encode_jid(value) if isinstance(value, Jid) else _encode_text(value))
    if isinstance(content, bytes):
        parts.append(_encode_bytes(content))
    elif content is not None:
        parts.append(_encode_list_size(len(content)))
        parts.extend(_encode_node(child) for child in content)
    return b"".join(parts)


def _encode_list_size(size: int) -> bytes:
    return bytes([LIST_8, size]) if size < 1 << 8 else bytes([LIST_16]) + size.to_bytes(2, "big")


def _encode_bytes(data: bytes) -> bytes:
    if len(data) < 1 << 8:
        return bytes([BINARY_8, len(data)]) + data
    if len(data) < 1 << 20:
        return bytes([BINARY_20]) + len(data).to_bytes(3, "big") + data
    return bytes([BINARY_32]) + len(data).to_bytes(4, "big") + data


def _encode_text(text: str) -> bytes:
    if text in SINGLE_INDEX:
        return bytes([SINGLE_INDEX[text]])
    if text in DOUBLE_INDEX:
        table, index = DOUBLE_INDEX[text]
        return bytes([DICTIONARY_0 + table, index])
    if 0 < len(text) <= _PACKED_LIMIT:
        if all(character in _NIBBLES for character in text):
            return _encode_packed(NIBBLE_8, _NIBBLES, text)
        if all(character in _HEX_DIGITS for character in text):
            return _encode_packed(HEX_8, _HEX_DIGITS, text)
    return _encode_bytes(text.encode())


def _encode_packed(tag: int, alphabet: str, text: str) -> bytes:
    digits = [alphabet.index(character) for character in text]
    odd = len(digits) % 2
    if odd:
        digits.append(_FILLER)
    pairs = zip(digits[::2], digits[1::2], strict=True)
    header = [tag, len(digits) // 2 | (_ODD if odd else 0)]
    return bytes(header + [high << 4 | low for high, low in pairs])


def _encode_jid(jid: Jid) -> bytes:
    hosted = jid.server.startswith("hosted")
    if jid.server in _DEVICE_SERVER_BYTES and (jid.device or hosted):
        head = bytes([DEVICE_JID, _DEVICE_SERVER_BYTES[jid.server], jid.device])
        return head + _encode_text(jid.user)
    user = _encode_text(jid.user) if jid.user else bytes([EMPTY])
    return bytes([JID_PAIR]) + user + _encode_text(jid.server)


class _Reader:
    """Reads one node from bytes and keeps the position."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def node(self) -> Node:
        size = self._list_size(self._byte())
        if size == 0:
            raise StanzaError("an empty node")
        tag = self._text()
        attrs: dict[str, str | Jid] = {}
        for _ in range((size - 1) // 2):
            name = self._text()
            value = self._value()
            if isinstance(value, list):
                raise StanzaError(f"a list as attribute {name!r}")
            attrs[name] = value.decode() if isinstance(value, bytes) else value or ""
        return Node(tag, attrs, self._content() if size % 2 == 0 else None)

    def _content(self) -> bytes | list[Node] | None:
        value = self._value()
        if isinstance(value, Jid):
            return str(value).encode()
        return value.encode() if isinstance(value, str) else value

    def _byte(self) -> int:
        self._position += 1
        return self._data[self._position - 1]

    def _bytes(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise StanzaError("the stanza ends too early")
        return self._data[start : self._position]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def _list_size(self, tag: int) -> int:
        sizes = {LIST_8: 1, LIST_16: 2}
        if tag == EMPTY:
            return 0
        if tag not in sizes:
            raise StanzaError(f"byte {tag} where a list begins")
        return self._number(sizes[tag])

    def _text(self) -> str:
        value = self._value()
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str):
            return value
        raise StanzaError("something else where text belongs")

    def _value(self) -> str | bytes | Jid | list[Node] | None:
        tag = self._byte()
        if tag in (LIST_8, LIST_16):
            return [self.node() for _ in range(self._list_size(tag))]
        if tag in (BINARY_8, BINARY_20, BINARY_32):
            width = {BINARY_8: 1, BINARY_20: 3, BINARY_32: 4}[tag]
            return self._bytes(self._number(width))
        if tag in (JID_PAIR, DEVICE_JID):
            return self._jid(tag)
        return None if tag == EMPTY else self._word(tag)

    def _word(self, tag: int) -> str:
        if tag < len(SINGLE):
            return SINGLE[tag]
        if DICTIONARY_0 <= tag <= DICTIONARY_3:
            return DOUBLE[tag - DICTIONARY_0][self._byte()]
        if tag == NIBBLE_8:
            return self._packed(_NIBBLES)
        if tag == HEX_8:
            return self._packed(_HEX_DIGITS)
        raise StanzaError(f"unknown byte {tag} in a stanza")

    def _packed(self, alphabet: str) -> str:
        header = self._byte()
        packed = self._bytes(header & ~_ODD)
        digits = [digit for byte in packed for digit in (byte >> 4, byte & 15)]
        if header & _ODD:
            digits.pop()
        return "".join(alphabet[digit] for digit in digits)

    def _jid(self, tag: int) -> Jid:
        if tag == JID_PAIR:
            user = self._value()
            if not isinstance(user, str | bytes | None):
                raise StanzaError("an address with a strange user")
            name = user.decode() if isinstance(user, bytes) else user or ""
            return Jid(name, self._text())
        server, device = self._byte(), self._byte()
        if server not in _DEVICE_SERVERS:
            raise StanzaError(f"an address on unknown server {server}")
        return Jid(self._text(), _DEVICE_SERVERS[server], device)
