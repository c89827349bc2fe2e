"""Protocol Buffers on the wire, by field number: as much as the WhatsApp messages used here need."""

from collections.abc import Sequence

type_error = "a field holds an int, bytes, text, or a list of these"

Value = int | bytes | str
Fields = dict[int, list[int | bytes]]

_VARINT = 0
_FIXED_64 = 1
_LENGTH_DELIMITED = 2
_FIXED_32 = 5
_CONTINUED = 0x80
