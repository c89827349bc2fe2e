"""How codes are kept: to be checked (digest), found (index) and sent again (sealed).

All keys are derived from the one secret (HKDF, RFC 5869). Every sealed code names its key, so
that codes sealed under the secret before this one can still be opened while it is rotated.
"""

import hmac
import secrets
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
KEY_NAME_BYTES = 4
NONCE_BYTES = 12


class SealingError(Exception):
    """A sealed code cannot be opened: it is damaged, or its secret is no longer known."""


def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key that `secret` gives for `purpose`."""
    hkdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"hudhud {purpose}".encode())
    return hkdf.derive(secret.encode())


class _Keys:
    """The keys that come of one secret."""

    def __init__(self, secret: str) -> None:
        self.digest = derive(secret, "code digest")
        self.index = derive(secret, "code index")
        encryption = derive(secret, "code encryption")
        self.name = sha256(encryption).digest()[:KEY_NAME_BYTES]
        self.cipher = AESGCM(encryption)


class CodeSealer:
    """Turns codes into what the database holds, and back."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._keys = _Keys(secret)
        self._all = [self._keys] if previous is None else [self._keys, _Keys(previous)]

    def digest(self, verification_id: str, code: str) -> bytes:
        """Return the HMAC by which a typed code is checked; it covers the verification."""
        return _digest(self._keys, verification_id, code)

    def matches(self, digest: bytes, verification_id: str, code: str) -> bool:
        """Tell in constant time whether `code` is the one that `digest` was made of."""
        candidates = [_digest(keys, verification_id, code) for keys in self._all]
        return any([hmac.compare_digest(digest, candidate) for candidate in candidates])  # noqa: C419 -- a generator would stop at the first match

    def index(self, code: str) -> bytes:
        """Return the keyed index by which an admin finds a code."""
        return hmac.digest(self._keys.index, code.encode(), "sha256")

    def seal(self, verification_id: str, code: str) -> bytes:
        """Encrypt a code so that it opens only for its verification."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._keys.cipher.encrypt(nonce, code.encode(), verification_id.encode())
        return self._keys.name + nonce + sealed

    def open(self, verification_id: str, sealed: bytes) -> str:
        """Decrypt a sealed code. Raises SealingError where no known secret opens it."""
        name, nonce = sealed[:KEY_NAME_BYTES], sealed[KEY_NAME_BYTES:][:NONCE_BYTES]
        for keys in self._all:
            if hmac.compare_digest(keys.name, name):
                return _open(keys, nonce, sealed[KEY_NAME_BYTES + NONCE_BYTES :], verification_id)
        raise SealingError("The code was sealed with a secret that is no longer set.")


def _digest(keys: _Keys, verification_id: str, code: str) -> bytes:
    return hmac.digest(keys.digest, f"{verification_id}\0{code}".encode(), "sha256")


def _open(keys: _Keys, nonce: bytes, sealed: bytes, verification_id: str) -> str:
    try:
        return keys.cipher.decrypt(nonce, sealed, verification_id.encode()).decode()
    except (InvalidTag, ValueError) as error:  # ValueError: cut within the nonce
        raise SealingError("The sealed code is damaged.") from error
