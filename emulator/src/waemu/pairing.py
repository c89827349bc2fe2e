"""Link a new device to an account, by QR or pairing code.

Both ways end alike: the phone signs the device's identity, the device signs it in turn, and from
then on its Noise key is a login.
"""

import base64
import binascii
import hashlib
import json
import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from waemu import protobuf
from waemu.binary import SERVER, Jid, Node, StanzaError
from waemu.connection import ClientConnection
from waemu.curve import KEY_SIZE, SIGNATURE_SIZE, KeyPair, verify
from waemu.directory import Directory
from waemu.faults import Faults
from waemu.phone import Companion, Phone
from waemu.records import Tampering
from waemu.symmetric import ctr_crypt, hkdf, hmac_sha256

_log = logging.getLogger(__name__)

_QR_FIELDS = 4
_ACCOUNT_SIGNATURE = b"\x06\x00"
_DEVICE_SIGNATURE = b"\x06\x01"
_PAIR_SUCCESS_ID = "pair-success"
_CODE_ROUNDS = 131_072
_SALT_SIZE = 32
_IV_SIZE = 16
_GCM_IV_SIZE = 12
_BUNDLE_INFO = b"link_code_pairing_key_bundle_encryption_key"
_KEPT_FAILURES = 100

# Field numbers: ClientPayload, its DevicePairingRegistrationData, ADVSignedDeviceIdentity.
_PAIRING_DATA = 19
_PAIRING_IDENTITY = 3
_DEVICE_SIGNATURE_FIELD = 4


class PairingError(Exception):
    """A QR code or pairing code that no waiting client shows."""


@dataclass
class PhoneCode:
    """A pairing by code in progress."""

    number: str
    ref: bytes
    wrapped_key: bytes
    companion_key: bytes = b""
    key: KeyPair = field(default_factory=KeyPair)


@dataclass
class Acceptance:
    """The phone's signed offer, until the device has signed it too."""

    phone: Phone
    device: int
    details: bytes


@dataclass
class Candidate:
    """A client that waits to be linked."""

    connection: ClientConnection
    identity: bytes
    refs: list[bytes]
    code: PhoneCode | None = None
    tamper: Tampering | None = None
    acceptance: Acceptance | None = None


class Pairing:
    """All clients that wait to be linked.

    Attributes:
        failures: the reasons that clients or phones gave for refusing a pairing.
    """

    def __init__(self, directory: Directory, faults: Faults) -> None:
        self._directory = directory
        self._faults = faults
        self._candidates: dict[ClientConnection, Candidate] = {}
        self.failures: deque[str] = deque(maxlen=_KEPT_FAILURES)

    def offer(self, connection: ClientConnection, payload: protobuf.Message) -> None:
        """Send a new client the references for its QR codes.

        Raises:
            ValueError: the client does not register a device.
        """
        registration = payload.message(_PAIRING_DATA)
        if registration is None:
            raise StanzaError("a login without a user and without a registration")
        refs = [base64.b64encode(secrets.token_bytes(24)) for _ in range(self._faults.qr_refs)]
        candidate = Candidate(connection, registration.need(_PAIRING_IDENTITY), refs)
        self._candidates[connection] = candidate
        offer = Node("pair-device", content=[Node("ref", content=ref) for ref in refs])
        attrs: dict[str, str | Jid] = {"from": SERVER, "id": "pair-device"}
        attrs |= {"type": "set", "xmlns": "md"}
        connection.send(Node("iq", attrs, [offer]))
        if self._faults.passkey == "offer":
            _ask_for_passkey(connection)

    def forget(self, connection: ClientConnection) -> None:
        self._candidates.pop(connection, None)

    def drop(self) -> None:
        """Close the connections of all clients that wait to be linked."""
        for connection in self._candidates:
            connection.close()

    def scan(self, qr: str, number: str, tamper: Tampering | None) -> None:
        """Scan a client's QR code with the phone.

        Raises:
            PairingError: no connected client shows this code.
            UnknownPhoneError: no phone has that number.
        """
        phone = self._directory.phone(number)
        fields = qr.rsplit("#", 1)[-1].split(",")
        if len(fields) < _QR_FIELDS:
            raise PairingError("this is not a QR code for linking")
        ref = fields[0].encode()
        try:
            noise_key, identity, secret = (
                base64.b64decode(text, validate=True) for text in fields[1:_QR_FIELDS]
            )
        except binascii.Error as error:
            raise PairingError("the QR code is damaged") from error
        candidate = next((c for c in self._candidates.values() if ref in c.refs), None)
        if candidate is None:
            raise PairingError("the QR code is not valid any more")
        if (noise_key, identity) != (
            candidate.connection.session.client_key,
            candidate.identity,
        ):
            raise PairingError("the QR code shows other keys than its client")
        candidate.tamper = tamper
        self._accept(candidate, phone, secret)

    def request_code(self, connection: ClientConnection, request: Node) -> Node | None:
        """Start a pairing by code; return None for an unknown number.

        Raises:
            StanzaError: the connection is not a candidate, or the request lacks a part.
        """
        candidate = self._candidate(connection)
        phone = self._directory.find(request.jid("jid"))
        if phone is None:
            return None
        wrapped = request.need("link_code_pairing_wrapped_companion_ephemeral_pub").data
        candidate.code = PhoneCode(phone.number, base64.b64encode(secrets.token_bytes(12)), wrapped)
        if self._faults.passkey == "offer":
            _ask_for_passkey(connection)
        ref = Node("link_code_pairing_ref", content=candidate.code.ref)
        return Node("link_code_companion_reg", {"stage": "companion_hello"}, [ref])

    def enter_code(self, number: str, code: str, tamper: Tampering | None) -> None:
        """Enter the eight characters; a wrong code appears later in failures.

        Raises:
            PairingError: no client waits for a code on that phone.
            UnknownPhoneError: no phone has that number.
        """
        phone = self._directory.phone(number)
        candidate = next(
            (c for c in self._candidates.values() if c.code and c.code.number == number), None
        )
        if candidate is None or candidate.code is None:
            raise PairingError(f"no client waits for a code of {number}")
        if self._faults.passkey == "link":
            _ask_for_passkey(candidate.connection)
            return
        candidate.tamper = tamper
        text = code.replace("-", "").upper()
        pairing = candidate.code
        pairing.companion_key = _unwrap_key(text, pairing.wrapped_key)
        hello = [
            Node("link_code_pairing_ref", content=pairing.ref),
            Node(
                "link_code_pairing_wrapped_primary_ephemeral_pub",
                content=_wrap_key(text, pairing.key.public),
            ),
            Node("primary_identity_pub", content=phone.signal.identity.public),
        ]
        candidate.connection.send(
            _notification(
                "link_code_companion_reg",
                Node("link_code_companion_reg", {"stage": "primary_hello"}, hello),
            )
        )

    def finish_code(self, connection: ClientConnection, request: Node) -> None:
        """Handle the client's identity, its answer to the phone's hello.

        Raises:
            StanzaError: the connection waits for no code, or the request lacks a part.
        """
        candidate = self._candidate(connection)
        if candidate.code is None:
            raise StanzaError("a pairing finished that never began")
        phone = self._directory.phone(candidate.code.number)
        wrapped = request.need("link_code_pairing_wrapped_key_bundle").data
        try:
            secret = _code_secret(candidate.code, phone, candidate.identity, wrapped)
        except (InvalidTag, ValueError):
            self.failures.append("wrong code")
            _log.warning("a wrong pairing code was entered")
            return
        self._accept(candidate, phone, secret)

    def answered(self, connection: ClientConnection, answer: Node) -> None:
        """Handle the client's answer to the phone's signature.

        Raises:
            StanzaError: the client's signature is wrong.
        """
        candidate = self._candidates.get(connection)
        if answer.text("id") != _PAIR_SUCCESS_ID or candidate is None:
            return
        if candidate.acceptance is None or answer.text("type") == "error":
            error = answer.find("error") or answer
            self.failures.append(f"{error.text('code')} {error.text('text')}")
            return
        acceptance = candidate.acceptance
        signed = protobuf.decode(answer.need("pair-device-sign", "device-identity").data)
        covered = acceptance.details + candidate.identity
        covered += acceptance.phone.signal.identity.public
        signature = signed.need(_DEVICE_SIGNATURE_FIELD)
        if not verify(candidate.identity, _DEVICE_SIGNATURE + covered, signature):
            raise StanzaError("the new device's signature is wrong")
        noise_key = connection.session.client_key
        self._directory.link(Companion(acceptance.phone, acceptance.device, noise_key))
        self.forget(connection)
        connection.send_last(Node("stream:error", {"code": "515"}))

    def _candidate(self, connection: ClientConnection) -> Candidate:
        if connection not in self._candidates:
            raise StanzaError("a pairing on a connection that is not for pairing")
        return self._candidates[connection]

    def _accept(self, candidate: Candidate, phone: Phone, secret: bytes) -> None:
        """Sign the device's identity and prove knowledge of the pairing's secret."""
        if self._faults.passkey == "link":
            _ask_for_passkey(candidate.connection)
            return
        account, device = phone.signal.identity, phone.next_device()
        details = protobuf.encode({1: secrets.randbits(24), 2: int(time.time()), 3: device})
        signature = account.sign(_ACCOUNT_SIGNATURE + details + candidate.identity)
        if candidate.tamper == "sig":
            signature = bytes(SIGNATURE_SIZE)
        signed = protobuf.encode({1: details, 2: account.public, 3: signature})
        proof = bytes(32) if candidate.tamper == "hmac" else hmac_sha256(secret, signed)
        candidate.acceptance = Acceptance(phone, device, details)
        jids: dict[str, str | Jid] = {
            "jid": phone.jid.with_device(device),
            "lid": phone.lid.with_device(device),
        }
        success = [
            Node("device-identity", content=protobuf.encode({1: signed, 2: proof})),
            Node("biz", {"name": f"Phone {phone.number}"}),
            Node("platform", {"name": "android"}),
            Node("device", jids),
        ]
        attrs: dict[str, str | Jid] = {"from": SERVER, "id": _PAIR_SUCCESS_ID, "type": "set"}
        attrs |= {"xmlns": "md", "t": str(int(time.time()))}
        candidate.connection.send(Node("iq", attrs, [Node("pair-success", content=success)]))


def _notification(kind: str, content: Node) -> Node:
    attrs: dict[str, str | Jid] = {"from": SERVER, "id": secrets.token_hex(8), "type": kind}
    return Node("notification", attrs | {"t": str(int(time.time()))}, [content])


def _ask_for_passkey(connection: ClientConnection) -> None:
    """Ask for a passkey, which voids the secret of the QR codes."""
    options = {
        "challenge": base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode(),
        "timeout": 60_000,
        "rpId": "whatsapp.com",
        "allowCredentials": [],
        "userVerification": "required",
        "extensions": {},
    }
    content = Node("passkey_request_options", content=json.dumps(options).encode())
    connection.send(_notification("passkey_prologue_request", content))


def _code_key(code: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _CODE_ROUNDS, KEY_SIZE)


def _wrap_key(code: str, public: bytes) -> bytes:
    salt, iv = secrets.token_bytes(_SALT_SIZE), secrets.token_bytes(_IV_SIZE)
    return salt + iv + ctr_crypt(_code_key(code, salt), iv, public)


def _unwrap_key(code: str, wrapped: bytes) -> bytes:
    salt, iv = wrapped[:_SALT_SIZE], wrapped[_SALT_SIZE : _SALT_SIZE + _IV_SIZE]
    return ctr_crypt(_code_key(code, salt), iv, wrapped[_SALT_SIZE + _IV_SIZE :])


def _code_secret(code: PhoneCode, phone: Phone, identity: bytes, wrapped: bytes) -> bytes:
    """Return the ADV secret derived from a pairing code.

    Raises:
        InvalidTag, ValueError: the code was wrong, or another client sent it.
    """
    shared = code.key.agree(code.companion_key)
    key = hkdf(shared, KEY_SIZE, salt=wrapped[:_SALT_SIZE], info=_BUNDLE_INFO)
    iv = wrapped[_SALT_SIZE : _SALT_SIZE + _GCM_IV_SIZE]
    bundle = AESGCM(key).decrypt(iv, wrapped[_SALT_SIZE + _GCM_IV_SIZE :], None)
    if bundle[: 2 * KEY_SIZE] != identity + phone.signal.identity.public:
        raise ValueError("the bundle names other identities")
    both = shared + phone.signal.identity.agree(identity)
    return hkdf(both + bundle[2 * KEY_SIZE :], KEY_SIZE, info=b"adv_secret")
