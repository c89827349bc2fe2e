"""The server side of Noise_XX_25519_AESGCM_SHA256, with its certificate chain.

A root key built into clients signs an intermediate certificate, which signs the leaf, whose key is
the server's static Noise key.
"""

import hashlib
import time
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from waemu import protobuf
from waemu.curve import KeyPair
from waemu.symmetric import hkdf

HEADER = b"WA\x06\x03"
_PROTOCOL = b"Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"
_DAY = 86400
_VALID_DAYS = 3650
_KEY_SIZE = 32

# Field numbers of HandshakeMessage and of CertChain.
_CLIENT_HELLO, _SERVER_HELLO, _CLIENT_FINISH = 2, 3, 4
_EPHEMERAL, _STATIC, _PAYLOAD = 1, 2, 3
_FINISH_STATIC, _FINISH_PAYLOAD = 1, 2


class NoiseError(Exception):
    """A handshake or frame that cannot be decrypted."""


class FrameCipher:
    """AES-GCM in one direction, with the frame count as nonce."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._count = 0

    def encrypt(self, plaintext: bytes, associated: bytes | None = None) -> bytes:
        return self._cipher.encrypt(self._nonce(), plaintext, associated)

    def decrypt(self, ciphertext: bytes, associated: bytes | None = None) -> bytes:
        """Decrypt the next frame.

        Raises:
            NoiseError: it was not encrypted with this key and count.
        """
        try:
            return self._cipher.decrypt(self._nonce(), ciphertext, associated)
        except InvalidTag as error:
            raise NoiseError("a frame that does not decrypt") from error

    def _nonce(self) -> bytes:
        nonce = self._count.to_bytes(12, "big")
        self._count += 1
        return nonce


class ServerKeys:
    """One server's root, intermediate and static keys, and their certificate chain."""

    def __init__(self) -> None:
        self._root = KeyPair()
        intermediate = KeyPair()
        self.static = KeyPair()
        self.root_key = self._root.public
        self.chain = protobuf.encode(
            {
                1: _certificate(2, issuer=1, key=self.static, signer=intermediate),
                2: _certificate(1, issuer=0, key=intermediate, signer=self._root),
            }
        )


def _certificate(serial: int, *, issuer: int, key: KeyPair, signer: KeyPair) -> bytes:
    now = int(time.time())
    details = protobuf.encode(
        {1: serial, 2: issuer, 3: key.public, 4: now - _DAY, 5: now + _VALID_DAYS * _DAY}
    )
    return protobuf.encode({1: details, 2: signer.sign(details)})


@dataclass(frozen=True)
class Session:
    """The result of a handshake: client key, login payload, frame ciphers."""

    client_key: bytes
    payload: bytes
    receiving: FrameCipher
    sending: FrameCipher


class Handshake:
    """The server's part of one handshake: answer() the client's hello, then finish()."""

    def __init__(self, keys: ServerKeys, header: bytes) -> None:
        self._keys = keys
        self._hash = self._salt = _PROTOCOL
        self._cipher = FrameCipher(_PROTOCOL)
        self._ephemeral = KeyPair()
        self._mix_hash(header)

    def answer(self, hello: bytes) -> bytes:
        """Return the server's hello in answer to the client's.

        Raises:
            ValueError: the message is not a client hello.
        """
        client = protobuf.decode(protobuf.decode(hello).need(_CLIENT_HELLO)).need(_EPHEMERAL)
        self._mix_hash(client)
        self._mix_hash(self._ephemeral.public)
        self._mix_key(self._ephemeral.agree(client))
        static = self._encrypt(self._keys.static.public)
        self._mix_key(self._keys.static.agree(client))
        chain = self._encrypt(self._keys.chain)
        answer = {_EPHEMERAL: self._ephemeral.public, _STATIC: static, _PAYLOAD: chain}
        return protobuf.encode({_SERVER_HELLO: protobuf.encode(answer)})

    def finish(self, message: bytes) -> Session:
        """Process the client's last message and return the session.

        Raises:
            NoiseError: the client does not hold the key that it presents.
            ValueError: the message is not a client finish.
        """
        finish = protobuf.decode(protobuf.decode(message).need(_CLIENT_FINISH))
        client_key = self._decrypt(finish.need(_FINISH_STATIC))
        self._mix_key(self._ephemeral.agree(client_key))
        payload = self._decrypt(finish.need(_FINISH_PAYLOAD))
        keys = hkdf(b"", 2 * _KEY_SIZE, salt=self._salt)
        receiving, sending = FrameCipher(keys[:_KEY_SIZE]), FrameCipher(keys[_KEY_SIZE:])
        return Session(client_key, payload, receiving, sending)

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, secret: bytes) -> None:
        keys = hkdf(secret, 2 * _KEY_SIZE, salt=self._salt)
        self._salt = keys[:_KEY_SIZE]
        self._cipher = FrameCipher(keys[_KEY_SIZE:])

    def _encrypt(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(plaintext, self._hash)
        self._mix_hash(ciphertext)
        return ciphertext

    def _decrypt(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(ciphertext, self._hash)
        self._mix_hash(ciphertext)
        return plaintext
