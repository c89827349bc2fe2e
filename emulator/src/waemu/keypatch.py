"""Make the loaded WhatsApp library trust the emulator's root key.

whatsmeow checks the server's Noise certificates against a 32-byte package variable, WACertPubKey,
that cannot be set from outside; this module overwrites it in the process's memory.
"""

import ctypes
from pathlib import Path

_WHATSAPP_ROOT_KEY = bytes.fromhex(
    "142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b"
)
_LIBRARY = "neonize-"


class KeyPatchError(Exception):
    """The library's root key does not occur exactly once in writable memory."""


def patch_root_key(root_key: bytes) -> None:
    """Replace WhatsApp's root key; neonize must have been imported.

    Raises:
        KeyPatchError: writable memory does not hold exactly one copy of WhatsApp's key.
    """
    if len(root_key) != len(_WHATSAPP_ROOT_KEY):
        raise KeyPatchError(f"a root key has {len(_WHATSAPP_ROOT_KEY)} bytes, not {len(root_key)}")
    addresses = _find(_WHATSAPP_ROOT_KEY)
    if len(addresses) != 1:
        raise KeyPatchError(
            f"expected one writable copy of the root key in the library, found {len(addresses)}"
        )
    ctypes.memmove(addresses[0], root_key, len(root_key))


def _find(key: bytes) -> list[int]:
    addresses = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        area, permissions, *_, path = line.split(maxsplit=5)
        if not permissions.startswith("rw") or _LIBRARY not in path:
            continue
        start, end = (int(bound, 16) for bound in area.split("-"))
        memory = ctypes.string_at(start, end - start)
        offset = memory.find(key)
        while offset >= 0:
            addresses.append(start + offset)
            offset = memory.find(key, offset + 1)
    return addresses
