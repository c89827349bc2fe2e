"""The caller of a request: its API key's owner and permissions."""

from dataclasses import dataclass
from typing import Final

from hudhud.auth.api_key_settings import Scope
from hudhud.core import code_lengths
from hudhud.core.ip_addresses import Network

ENVIRONMENT = "environment"
ENVIRONMENT_NAME = "API_KEY"
# The owners of verifications that no key asked for: the dashboard's test codes, `hudhud send`.
ADMIN = "admin"
COMMAND_LINE = "command line"

ENVIRONMENT_SCOPES: Final[frozenset[Scope]] = frozenset({"send", "verify", "read", "sandbox"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner and permissions of a request's API key.

    `limits` are the key's own limits; the key of `API_KEY` has none of its own. `code_length` is
    the key's own number of digits, `usual_code_length` the one without `OTP_LENGTH`.
    """

    owner: str
    name: str
    scopes: frozenset[Scope]
    hides_code: bool = False
    may_link_verify: bool = False
    is_test: bool = False
    limits: str | None = None
    networks: tuple[Network, ...] = ()
    code_length: int | None = None
    usual_code_length: int | None = None

    @property
    def is_environment(self) -> bool:
        """Whether the key is that of `API_KEY`."""
        return self.owner == ENVIRONMENT

    @property
    def may_verify(self) -> bool:
        """Whether the key can have codes checked."""
        return self.may("verify")

    @property
    def checks_codes_here(self) -> bool:
        """Whether Hudhud checks the codes of the key's sends, unless it may compare them itself.

        Programs that use `API_KEY` compare codes themselves, as with the earlier application.
        """
        return self.may_verify and not self.is_environment

    def may(self, scope: Scope) -> bool:
        """Return whether the key has this scope; admin includes all."""
        return scope in self.scopes or "admin" in self.scopes

    def digits(self, of_settings: int | None) -> int:
        """Return the length of the key's codes; `of_settings` is `OTP_LENGTH`."""
        usual = self.usual_code_length or code_lengths.EARLIER
        return self.code_length or of_settings or usual

    def sees(self, owner: str) -> bool:
        """Return whether the key can access verifications of `owner`."""
        return owner == self.owner or "admin" in self.scopes
