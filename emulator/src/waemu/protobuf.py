"""Protocol Buffers by field number, as far as the emulator needs."""

from collections.abc import Mapping, Sequence

Value = int | bytes | str

_VARINT = 0
_FIXED_64 = 1
_LENGTH_DELIMITED = 2
_FIXED_32 = 5
_CONTINUED = 0x80
_VARINT_LIMIT = 10


class ProtobufError(ValueError):
    """Malformed bytes, or a message without a required field."""


class Message:
    """A decoded message; getters return a repeated field's last value."""

    def __init__(self, fields: Mapping[int, Sequence[int | bytes]]) -> None:
        self.fields = fields

    def integer(self, number: int) -> int | None:
        """Return a varint field, or None if absent or of another type."""
        value = self._last(number)
        return value if isinstance(value, int) else None

    def data(self, number: int) -> bytes | None:
        """Return a length-delimited field, or None if absent."""
        value = self._last(number)
        return value if isinstance(value, bytes) else None

    def need(self, number: int) -> bytes:
        """Return a length-delimited field.

        Raises:
            ProtobufError: the message has no such field.
        """
        value = self.data(number)
        if value is None:
            raise ProtobufError(f"field {number} is missing")
        return value

    def message(self, number: int) -> "Message | None":
        """Return an embedded message, or None if it is absent."""
        data = self.data(number)
        return None if data is None else decode(data)

    def _last(self, number: int) -> int | bytes | None:
        values = self.fields.get(number)
        return values[-1] if values else None


def encode(fields: Mapping[int, Value | Sequence[Value]]) -> bytes:
    """Encode a message: int as varint, bytes and text length-delimited."""
    parts: list[bytes] = []
    for number, value in fields.items():
        values = [value] if isinstance(value, Value) else value
        parts.extend(_encode_field(number, item) for item in values)
    return b"".join(parts)


def decode(data: bytes) -> Message:
    """Decode the fields of a message.

    Raises:
        ProtobufError: the bytes are not a message.
    """
    fields: dict[int, list[int | bytes]] = {}
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        value, position = _read_value(data, position, key & 7)
        fields.setdefault(key >> 3, []).append(value)
    return Message(fields)


def _encode_field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _encode_varint(number << 3 | _VARINT) + _encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | _LENGTH_DELIMITED) + _encode_varint(len(data)) + data


def _encode_varint(number: int) -> bytes:
    out = bytearray()
    while number >= _CONTINUED:
        out.append(number & 0x7F | _CONTINUED)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[position : position + _VARINT_LIMIT]):
        number |= (byte & 0x7F) << 7 * index
        if byte < _CONTINUED:
            return number, position + index + 1
    raise ProtobufError("a number that does not end")


def _read_value(data: bytes, position: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return _read_varint(data, position)
    if wire_type == _LENGTH_DELIMITED:
        size, position = _read_varint(data, position)
    elif wire_type in (_FIXED_32, _FIXED_64):
        size = 4 if wire_type == _FIXED_32 else 8
    else:
        raise ProtobufError(f"unknown wire type {wire_type}")
    if position + size > len(data):
        raise ProtobufError("the message ends too early")
    return bytes(data[position : position + size]), position + size
