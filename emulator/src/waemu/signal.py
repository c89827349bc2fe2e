"""End-to-end encryption between two devices: X3DH and the Double Ratchet, both roles.

Message format and key schedule follow Signal protocol version 3
(https://signal.org/docs/specifications/), with the HKDF labels of WhatsApp's clients.
"""

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from waemu import protobuf
from waemu.curve import KeyPair, verify
from waemu.symmetric import cbc_decrypt, cbc_encrypt, hkdf, hmac_sha256

PREKEY_MESSAGE = "pkmsg"
MESSAGE = "msg"

_VERSION = b"\x33"
_KEY_TYPE = b"\x05"  # precedes every public key on the wire
_MAC_SIZE = 8
_MAX_SKIPPED = 2000
_MAX_CHAINS = 5
_MAX_SESSIONS = 5
_REGISTRATION_LIMIT = 1 << 14


class SignalError(Exception):
    """An undecryptable message or an untrusted bundle."""


class MessageKeys(NamedTuple):
    cipher: bytes
    mac: bytes
    iv: bytes


class Chain(NamedTuple):
    """A symmetric ratchet: the key and number of the next message."""

    key: bytes
    counter: int = 0

    def message_keys(self) -> MessageKeys:
        keys = hkdf(hmac_sha256(self.key, b"\x01"), 80, info=b"WhisperMessageKeys")
        return MessageKeys(keys[:32], keys[32:64], keys[64:])

    def following(self) -> "Chain":
        return Chain(hmac_sha256(self.key, b"\x02"), self.counter + 1)


@dataclass(frozen=True)
class Prekey:
    number: int
    public: bytes


@dataclass(frozen=True)
class Bundle:
    """A device's published keys, for starting sessions with it."""

    identity: bytes
    registration_id: int
    signed_prekey: Prekey
    signature: bytes
    prekey: Prekey | None


@dataclass(frozen=True)
class Opening:
    """The header of each message until the other side answers."""

    prekey_number: int | None
    base: bytes
    signed_prekey_number: int


@dataclass
class Session:
    """One Double Ratchet session with one device."""

    identities: tuple[bytes, bytes]  # ours, theirs
    base: bytes
    root: bytes
    ratchet: KeyPair
    sending: Chain | None = None
    previous_counter: int = 0
    opening: Opening | None = None
    receiving: OrderedDict[bytes, Chain] = field(default_factory=OrderedDict)
    skipped: OrderedDict[tuple[bytes, int], MessageKeys] = field(default_factory=OrderedDict)

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt a message; after an exception the session is unusable.

        Raises:
            SignalError: the message is malformed, repeated, or not of this session.
            ValueError: the message is malformed.
        """
        body, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
        message = protobuf.decode(_without_version(body))
        their_ratchet = _public_key(message.need(1))
        keys = self._receiving_keys(their_ratchet, message.integer(2) or 0)
        ours, theirs = self.identities
        if not hmac.compare_digest(_mac(keys, theirs, ours, body), mac):
            raise SignalError("the message has a wrong MAC")
        self.opening = None
        return cbc_decrypt(keys.cipher, keys.iv, message.need(4))

    def encrypt(self, plaintext: bytes) -> bytes:
        if self.sending is None:
            raise SignalError("a session that has received nothing cannot send")
        keys = self.sending.message_keys()
        body = _VERSION + protobuf.encode(
            {
                1: _KEY_TYPE + self.ratchet.public,
                2: self.sending.counter,
                3: self.previous_counter,
                4: cbc_encrypt(keys.cipher, keys.iv, plaintext),
            }
        )
        self.sending = self.sending.following()
        return body + _mac(keys, *self.identities, body)

    def copy(self) -> "Session":
        return replace(self, receiving=self.receiving.copy(), skipped=self.skipped.copy())

    def step(self, their_ratchet: bytes) -> None:
        """Answer the other side's ratchet key with a new sending chain."""
        self.previous_counter = self.sending.counter if self.sending else 0
        self.ratchet = KeyPair()
        self.sending = self._next_chain(their_ratchet)

    def _next_chain(self, their_ratchet: bytes) -> Chain:
        keys = hkdf(self.ratchet.agree(their_ratchet), 64, salt=self.root, info=b"WhisperRatchet")
        self.root = keys[:32]
        return Chain(keys[32:])

    def _receiving_keys(self, their_ratchet: bytes, counter: int) -> MessageKeys:
        skipped = self.skipped.pop((their_ratchet, counter), None)
        if skipped is not None:
            return skipped
        if their_ratchet not in self.receiving:
            self._add_receiving(their_ratchet, self._next_chain(their_ratchet))
            self.step(their_ratchet)
        chain = self.receiving[their_ratchet]
        if not 0 <= counter - chain.counter <= _MAX_SKIPPED:
            raise SignalError(f"message {counter} where {chain.counter} was expected")
        while chain.counter < counter:
            self.skipped[their_ratchet, chain.counter] = chain.message_keys()
            chain = chain.following()
        while len(self.skipped) > _MAX_SKIPPED:
            self.skipped.popitem(last=False)
        self.receiving[their_ratchet] = chain.following()
        return chain.message_keys()

    def _add_receiving(self, their_ratchet: bytes, chain: Chain) -> None:
        self.receiving[their_ratchet] = chain
        while len(self.receiving) > _MAX_CHAINS:
            self.receiving.popitem(last=False)


class Device:
    """One device's keys, and its sessions by peer address."""

    def __init__(self, identity: KeyPair | None = None) -> None:
        self.identity = identity or KeyPair()
        self.registration_id = 1 + secrets.randbelow(_REGISTRATION_LIMIT - 1)
        self._signed_prekey = KeyPair()
        self._prekeys: dict[int, KeyPair] = {}
        self._last_prekey = 0
        self._sessions: dict[str, list[Session]] = {}  # most recently used first

    def bundle(self) -> Bundle:
        """Return a bundle with a new one-time prekey each time."""
        self._last_prekey += 1
        prekey = self._prekeys[self._last_prekey] = KeyPair()
        return Bundle(
            identity=self.identity.public,
            registration_id=self.registration_id,
            signed_prekey=Prekey(1, self._signed_prekey.public),
            signature=self.identity.sign(_KEY_TYPE + self._signed_prekey.public),
            prekey=Prekey(self._last_prekey, prekey.public),
        )

    def has_session(self, peer: str) -> bool:
        return peer in self._sessions

    def forget_sessions(self) -> None:
        """Drop all sessions, as a factory reset of the phone does."""
        self._sessions.clear()

    def start_session(self, peer: str, bundle: Bundle) -> None:
        """Start a session as the initiator (X3DH), before the first encrypt().

        Raises:
            SignalError: the bundle's identity did not sign its prekey.
        """
        signed = bundle.signed_prekey
        if not verify(bundle.identity, _KEY_TYPE + signed.public, bundle.signature):
            raise SignalError("the signed prekey has a wrong signature")
        base = KeyPair()
        secret = self.identity.agree(signed.public)
        secret += base.agree(bundle.identity) + base.agree(signed.public)
        if bundle.prekey is not None:
            secret += base.agree(bundle.prekey.public)
        root, chain = _first_keys(secret)
        session = Session(
            identities=(self.identity.public, bundle.identity),
            base=base.public,
            root=root,
            ratchet=base,
            opening=Opening(
                bundle.prekey.number if bundle.prekey else None, base.public, signed.number
            ),
        )
        session.receiving[signed.public] = Chain(chain)
        session.step(signed.public)
        self._use(peer, session)

    def encrypt(self, peer: str, plaintext: bytes) -> tuple[str, bytes]:
        """Encrypt with the latest session; return kind (pkmsg or msg) and ciphertext.

        Raises:
            SignalError: there is no session with that peer.
        """
        sessions = self._sessions.get(peer)
        if not sessions:
            raise SignalError(f"no session with {peer}")
        session = sessions[0]
        message = session.encrypt(plaintext)
        if session.opening is None:
            return MESSAGE, message
        return PREKEY_MESSAGE, self._wrap(session.opening, message)

    def decrypt(self, peer: str, kind: str, ciphertext: bytes) -> bytes:
        """Decrypt a message; an exception leaves all state unchanged.

        Raises:
            SignalError: no session with that peer can read it.
        """
        try:
            if kind == PREKEY_MESSAGE:
                return self._decrypt_prekey(peer, ciphertext)
            if kind == MESSAGE:
                return self._decrypt_with_any(peer, ciphertext)
        except (ValueError, IndexError) as error:
            raise SignalError(f"a malformed message: {error}") from error
        raise SignalError(f"unknown kind of message {kind!r}")

    def _decrypt_prekey(self, peer: str, ciphertext: bytes) -> bytes:
        message = protobuf.decode(_without_version(ciphertext))
        base = _public_key(message.need(2))
        known = next((old for old in self._sessions.get(peer, []) if old.base == base), None)
        session = known.copy() if known else self._answer_session(base, message)
        plaintext = session.decrypt(message.need(4))
        self._use(peer, session)
        self._prekeys.pop(message.integer(1) or 0, None)
        return plaintext

    def _answer_session(self, base: bytes, message: protobuf.Message) -> Session:
        """Create the responder's session for an initiator's first message."""
        their_identity = _public_key(message.need(3))
        secret = self._signed_prekey.agree(their_identity)
        secret += self.identity.agree(base) + self._signed_prekey.agree(base)
        prekey_number = message.integer(1)
        if prekey_number is not None:
            prekey = self._prekeys.get(prekey_number)
            if prekey is None:
                raise SignalError(f"prekey {prekey_number} is unknown or used")
            secret += prekey.agree(base)
        root, _ = _first_keys(secret)
        return Session(
            identities=(self.identity.public, their_identity),
            base=base,
            root=root,
            ratchet=self._signed_prekey,
        )

    def _decrypt_with_any(self, peer: str, ciphertext: bytes) -> bytes:
        """Try old sessions too: both devices may have opened one simultaneously."""
        failure: Exception = SignalError(f"no session with {peer}")
        for known in self._sessions.get(peer, []):
            session = known.copy()
            try:
                plaintext = session.decrypt(ciphertext)
            except (SignalError, ValueError) as error:
                failure = error
            else:
                self._use(peer, session)
                return plaintext
        raise SignalError(str(failure)) from failure

    def _use(self, peer: str, session: Session) -> None:
        others = [old for old in self._sessions.get(peer, []) if old.base != session.base]
        self._sessions[peer] = [session, *others[: _MAX_SESSIONS - 1]]

    def _wrap(self, opening: Opening, message: bytes) -> bytes:
        fields: dict[int, int | bytes] = {
            2: _KEY_TYPE + opening.base,
            3: _KEY_TYPE + self.identity.public,
            4: message,
            5: self.registration_id,
            6: opening.signed_prekey_number,
        }
        if opening.prekey_number is not None:
            fields[1] = opening.prekey_number
        return _VERSION + protobuf.encode(fields)


def _first_keys(secret: bytes) -> tuple[bytes, bytes]:
    keys = hkdf(b"\xff" * 32 + secret, 64, info=b"WhisperText")
    return keys[:32], keys[32:]


def _mac(keys: MessageKeys, sender: bytes, receiver: bytes, body: bytes) -> bytes:
    covered = _KEY_TYPE + sender + _KEY_TYPE + receiver + body
    return hmac_sha256(keys.mac, covered)[:_MAC_SIZE]


def _without_version(data: bytes) -> bytes:
    if data[:1] != _VERSION:
        raise SignalError("a message of another protocol version")
    return data[1:]


def _public_key(data: bytes) -> bytes:
    if data[:1] != _KEY_TYPE:
        raise SignalError("a public key of another type")
    return data[1:]
