"""Index of phones by number and LID, and of linked devices."""

import hashlib
from collections.abc import Iterable

from waemu.binary import LID_SERVER, USER_SERVER, Jid
from waemu.phone import Companion, Phone

_FIRST_LID = 10**14
_LID_RANGE = 9 * 10**14


class UnknownPhoneError(LookupError):
    """No virtual phone has this number."""


class TakenNumberError(ValueError):
    """Another virtual phone has this number."""


class Directory:
    """The accounts of the emulated WhatsApp.

    Attributes:
        every_number_exists: whether a requested number gets a phone if it has none.
    """

    def __init__(self) -> None:
        self.every_number_exists = False
        self._by_number: dict[str, Phone] = {}
        self._by_alias: dict[str, Phone] = {}
        self._by_lid: dict[str, Phone] = {}
        self._by_noise_key: dict[bytes, Companion] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, number: str, lid: str | None = None, aliases: Iterable[str] = ()) -> Phone:
        """Add a phone, or return the existing one with this number.

        Number checks find it by its aliases, too, as WhatsApp's do after a renumbering.

        Raises:
            TakenNumberError: an alias is the number of a phone.
        """
        phone = self._by_number.get(number) or self._new(number, lid)
        for alias in aliases:
            if alias in self._by_number:
                raise TakenNumberError(f"a phone has the number {alias}; choose another alias")
            self._by_alias[alias] = phone
        return phone

    def _new(self, number: str, lid: str | None) -> Phone:
        self._by_alias.pop(number, None)
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
        """Return the phone of an address, by registered number or by LID."""
        if jid.server == LID_SERVER:
            return self._by_lid.get(jid.user)
        if jid.server != USER_SERVER or jid.user in self._by_alias:
            return None
        return self.add(jid.user) if self.every_number_exists else self._by_number.get(jid.user)

    def check(self, number: str) -> Phone | None:
        """Return the phone that a number check finds, by registered number or alias."""
        return self._by_alias.get(number) or self.find(Jid(number))

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
