"""Protect codes and links in the database: digests, indexes and sealed values.

A code has a digest to check it, an index to find it and a sealed form to send it again. A link has
an index of its token and a sealed form to show it again.

All keys are derived from the one secret (HKDF, RFC 5869). A sealed value names its key, so that
values from before a change of the secret can still be opened with the previous one.
"""

import hmac
import secrets
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hudhud.core.errors import HudhudError
from hudhud.core.sentences import say

KEY_BYTES = 32
KEY_NAME_BYTES = 4
NONCE_BYTES = 12


class SealingError(HudhudError):
    """A sealed value is damaged, or its secret is no longer set."""


def derive(secret: str, purpose: str) -> bytes:
    """Derive the 32-byte key for `purpose` from `secret`."""
    hkdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"hudhud {purpose}".encode())
    return hkdf.derive(secret.encode())


class _SealingKey:
    def __init__(self, secret: str, purpose: str) -> None:
        key = derive(secret, purpose)
        self.name = sha256(key).digest()[:KEY_NAME_BYTES]
        self.cipher = AESGCM(key)


class Cipher:
    """Seal short texts for one purpose, each bound to its owner's id."""

    def __init__(self, purpose: str, secret: str, previous: str | None = None) -> None:
        self._key = _SealingKey(secret, purpose)
        self._all = [self._key]
        if previous is not None:
            self._all.append(_SealingKey(previous, purpose))

    def seal(self, bound_to: str, text: str) -> bytes:
        """Encrypt `text` so that only the same `bound_to` opens it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._key.cipher.encrypt(nonce, text.encode(), bound_to.encode())
        return self._key.name + nonce + sealed

    def open(self, bound_to: str, sealed: bytes) -> str:
        """Decrypt a sealed value. Raises SealingError if neither secret opens it."""
        name, nonce = sealed[:KEY_NAME_BYTES], sealed[KEY_NAME_BYTES:][:NONCE_BYTES]
        for key in self._all:
            if hmac.compare_digest(key.name, name):
                return _open(key, nonce, sealed[KEY_NAME_BYTES + NONCE_BYTES :], bound_to)
        raise SealingError(say("job.secret_unset"))

    @property
    def key_name(self) -> bytes:
        """The first `KEY_NAME_BYTES` of values sealed under the current secret."""
        return self._key.name

    def is_current(self, sealed: bytes) -> bool:
        """Return whether a value is sealed under the current secret."""
        return sealed[:KEY_NAME_BYTES] == self._key.name


class _Keys:
    def __init__(self, secret: str) -> None:
        self.digest = derive(secret, "code digest")
        self.index = derive(secret, "code index")
        self.link_index = derive(secret, "link index")
        self.request_digest = derive(secret, "request digest")


class CodeCipher:
    """Convert codes and links to their stored forms and back.

    `codes` seals codes, `links` links with their tokens, and `answers` answers that are repeated
    under the same Idempotency-Key, each bound to the verification.
    """

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._keys = _Keys(secret)
        self._all = [self._keys] if previous is None else [self._keys, _Keys(previous)]
        self.codes = Cipher("code encryption", secret, previous)
        self.links = Cipher("link encryption", secret, previous)
        self.answers = Cipher("answer encryption", secret, previous)

    def digest(self, verification_id: str, code: str) -> bytes:
        """Return the HMAC of a code, bound to its verification."""
        return _digest(self._keys, verification_id, code)

    def matches(self, digest: bytes, verification_id: str, *codes: str) -> bool:
        """Return whether `digest` is that of any of the codes, in constant time."""
        candidates = [_digest(keys, verification_id, code) for keys in self._all for code in codes]
        return any([hmac.compare_digest(digest, candidate) for candidate in candidates])  # noqa: C419 -- a generator would stop at the first match

    def index(self, code: str) -> bytes:
        """Return the keyed index by which admins search for a code."""
        return hmac.digest(self._keys.index, code.encode(), "sha256")

    def indexes(self, code: str) -> list[bytes]:
        """Return the code's indexes under the current and the previous secret."""
        return [hmac.digest(keys.index, code.encode(), "sha256") for keys in self._all]

    def request_digests(self, body: bytes) -> list[bytes]:
        """Return a request's HMACs under the current and the previous secret.

        A plain digest would allow guessing the few unknown digits of a request.
        """
        return [hmac.digest(keys.request_digest, body, "sha256") for keys in self._all]

    def link_index(self, token: str) -> bytes:
        """Return the keyed index by which a link's token is found."""
        return hmac.digest(self._keys.link_index, token.encode(), "sha256")

    def link_indexes(self, token: str) -> list[bytes]:
        """Return the token's indexes under the current and the previous secret."""
        return [hmac.digest(keys.link_index, token.encode(), "sha256") for keys in self._all]


def _digest(keys: _Keys, verification_id: str, code: str) -> bytes:
    return hmac.digest(keys.digest, f"{verification_id}\0{code}".encode(), "sha256")


def _open(key: _SealingKey, nonce: bytes, sealed: bytes, bound_to: str) -> str:
    try:
        return key.cipher.decrypt(nonce, sealed, bound_to.encode()).decode()
    except (InvalidTag, ValueError) as error:  # ValueError: truncated nonce
        raise SealingError(say("job.seal_damaged")) from error
