"""Curve25519 key pairs for key agreement (X25519) and signatures (XEdDSA).

Each pair is made from an Ed25519 seed: RFC 8032 derives the Ed25519 scalar from the SHA-512 of the
seed, and X25519 uses the same scalar. An ordinary Ed25519 signature therefore becomes an XEdDSA
signature once its last bit holds the sign bit of the Ed25519 public key, where verifiers expect it
(https://signal.org/docs/specifications/xeddsa/).
"""

import hashlib
import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KEY_SIZE = 32
SIGNATURE_SIZE = 64
_PRIME = 2**255 - 19
_SIGN_BIT = 0x80


class KeyPair:
    """A key pair from a 32-byte seed, by default a random one."""

    def __init__(self, seed: bytes | None = None) -> None:
        seed = seed or os.urandom(KEY_SIZE)
        self._signing = Ed25519PrivateKey.from_private_bytes(seed)
        scalar = hashlib.sha512(seed).digest()[:KEY_SIZE]
        self._agreement = X25519PrivateKey.from_private_bytes(scalar)
        self.public = self._agreement.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """Return the secret shared with the owner of a public key.

        Raises:
            ValueError: the key is not a usable point.
        """
        return self._agreement.exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, message: bytes) -> bytes:
        signature = bytearray(self._signing.sign(message))
        signature[-1] |= self._signing.public_key().public_bytes_raw()[-1] & _SIGN_BIT
        return bytes(signature)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether an XEdDSA signature matches an X25519 public key."""
    if len(public) != KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    # The birational map from the Montgomery u to the Edwards y: y = (u - 1) / (u + 1).
    u = int.from_bytes(public, "little") & (1 << 255) - 1
    y = (u - 1) * pow(u + 1, _PRIME - 2, _PRIME) % _PRIME
    point = bytearray(y.to_bytes(KEY_SIZE, "little"))
    point[-1] |= signature[-1] & _SIGN_BIT
    plain = signature[:-1] + bytes([signature[-1] & ~_SIGN_BIT])
    try:
        Ed25519PublicKey.from_public_bytes(bytes(point)).verify(plain, message)
    except (InvalidSignature, ValueError):
        return False
    return True
