"""Index of phones by number and LID, and of linked devices."""

import hashlib

from waemu.binary import LID_SERVER, USER_SERVER, Jid
from waemu.phone import Companion, Phone

_FIRST_LID = 10**14
_LID_RANGE = 9 * 10**14


class UnknownPhoneError(LookupError):
    """No virtual phone has this number."""


class Directory:
    """The accounts of the emulated WhatsApp.

    Attributes:
        every_number_exists: whether a requested number gets a phone if it has none.
    """

    def __init__(self) -> None:
        self.every_number_exists = False
        self._by_number: dict[str, Phone] = {}
        self._by_lid: dict[str, Phone] = {}
        self._by_noise_key: dict[bytes, Companion] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, number: str, lid: str | None = None) -> Phone:
        """Add a phone, or return the existing one with this number."""
        if number in self._by_number:
            return self._by_number[number]
        phone = Phone(number, lid or self._free_lid(number))
        self._by_number[number] = phone
        self._by_lid[phone.lid.user] = phone
        return phone

    def phone(self, number: str) -> Phone:
        """Return the phone with this number.

        Raises:
            UnknownPhoneError: there is none.
        """
        if number not in self._by_number:
            raise UnknownPhoneError(f"no phone has the number {number}")
        return self._by_number[number]

    def find(self, jid: Jid) -> Phone | None:
        """Return the phone of an address, by number or by LID."""
        if jid.server == USER_SERVER:
            return self.add(jid.user) if self.every_number_exists else self._by_number.get(jid.user)
        return self._by_lid.get(jid.user) if jid.server == LID_SERVER else None

    def companion(self, noise_key: bytes) -> Companion | None:
        return self._by_noise_key.get(noise_key)

    def link(self, companion: Companion) -> None:
        companion.phone.companions[companion.device] = companion
        self._by_noise_key[companion.noise_key] = companion

    def unlink(self, companion: Companion) -> None:
        companion.phone.companions.pop(companion.device, None)
        self._by_noise_key.pop(companion.noise_key, None)

    def _free_lid(self, number: str) -> str:
        digest = hashlib.sha256(number.encode()).digest()
        lid = _FIRST_LID + int.from_bytes(digest[:8], "big") % _LID_RANGE
        while str(lid) in self._by_lid:
            lid += 1
        return str(lid)
