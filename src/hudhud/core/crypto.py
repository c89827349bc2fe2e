"""How codes are kept: to be checked (digest), found (index) and sent again (sealed).

The links by which users write first are kept likewise: their tokens to be found, the whole to be
shown once more.

All keys are derived from the one secret (HKDF, RFC 5869). Whatever is sealed names its key, so
that what was sealed under the secret before this one can still be opened while it is rotated.
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
    """What is sealed cannot be opened: it is damaged, or its secret is no longer known."""


def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key that `secret` gives for `purpose`."""
    hkdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"hudhud {purpose}".encode())
    return hkdf.derive(secret.encode())


class _SealingKey:
    """The key to seal for one purpose that comes of one secret."""

    def __init__(self, secret: str, purpose: str) -> None:
        key = derive(secret, purpose)
        self.name = sha256(key).digest()[:KEY_NAME_BYTES]
        self.cipher = AESGCM(key)


class Cipher:
    """Encrypts short texts for one purpose, each bound to what it belongs to."""

    def __init__(self, purpose: str, secret: str, previous: str | None = None) -> None:
        self._key = _SealingKey(secret, purpose)
        self._all = [self._key]
        if previous is not None:
            self._all.append(_SealingKey(previous, purpose))

    def seal(self, bound_to: str, text: str) -> bytes:
        """Encrypt `text` so that it opens only for `bound_to`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._key.cipher.encrypt(nonce, text.encode(), bound_to.encode())
        return self._key.name + nonce + sealed

    def open(self, bound_to: str, sealed: bytes) -> str:
        """Decrypt what was sealed. Raises SealingError where no known secret opens it."""
        name, nonce = sealed[:KEY_NAME_BYTES], sealed[KEY_NAME_BYTES:][:NONCE_BYTES]
        for key in self._all:
            if hmac.compare_digest(key.name, name):
                return _open(key, nonce, sealed[KEY_NAME_BYTES + NONCE_BYTES :], bound_to)
        raise SealingError(say("job.secret_unset"))

    @property
    def key_name(self) -> bytes:
        """The `KEY_NAME_BYTES` with which all begins that is sealed under the present secret."""
        return self._key.name

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether it was sealed under the present secret, not the one before."""
        return sealed[:KEY_NAME_BYTES] == self._key.name


class _Keys:
    """The keys of codes that come of one secret."""

    def __init__(self, secret: str) -> None:
        self.digest = derive(secret, "code digest")
        self.index = derive(secret, "code index")
        self.link_index = derive(secret, "link index")
        self.request_digest = derive(secret, "request digest")


class CodeCipher:
    """Turns codes into what the database holds, and back.

    `codes` seals them and `links` seals links, which hold their tokens, each for its verification.
    """

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._keys = _Keys(secret)
        self._all = [self._keys] if previous is None else [self._keys, _Keys(previous)]
        self.codes = Cipher("code encryption", secret, previous)
        self.links = Cipher("link encryption", secret, previous)

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

    def indexes(self, code: str) -> list[bytes]:
        """Return the index under this secret and under the one before it, to search with."""
        return [hmac.digest(keys.index, code.encode(), "sha256") for keys in self._all]

    def request_digests(self, body: bytes) -> list[bytes]:
        """Return the HMAC of a request under this secret and under the one before it.

        From a plain digest the few unknown digits of a request could be guessed.
        """
        return [hmac.digest(keys.request_digest, body, "sha256") for keys in self._all]

    def link_index(self, token: str) -> bytes:
        """Return the keyed index by which the token of a link is found."""
        return hmac.digest(self._keys.link_index, token.encode(), "sha256")

    def link_indexes(self, token: str) -> list[bytes]:
        """Return the index under this secret and under the one before it, to search with."""
        return [hmac.digest(keys.link_index, token.encode(), "sha256") for keys in self._all]


def _digest(keys: _Keys, verification_id: str, code: str) -> bytes:
    return hmac.digest(keys.digest, f"{verification_id}\0{code}".encode(), "sha256")


def _open(key: _SealingKey, nonce: bytes, sealed: bytes, bound_to: str) -> str:
    try:
        return key.cipher.decrypt(nonce, sealed, bound_to.encode()).decode()
    except (InvalidTag, ValueError) as error:  # ValueError: cut within the nonce
        raise SealingError(say("job.seal_damaged")) from error
