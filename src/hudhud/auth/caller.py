"""Who calls: the owner of what a request makes, and what its API key may do."""

from dataclasses import dataclass
from typing import Final

from hudhud.auth.api_key_settings import Scope
from hudhud.core.ip_addresses import Network

ENVIRONMENT = "environment"
ENVIRONMENT_NAME = "API_KEY"

# What the one key of the earlier application could do.
ENVIRONMENT_SCOPES: Final[frozenset[Scope]] = frozenset({"send", "read", "sandbox"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the owner of what the request makes, and what its key may do.

    `limits` are the key's own; the key of the environment has none unless the settings say so.
    """

    owner: str
    name: str
    scopes: frozenset[Scope]
    hides_code: bool = False
    may_link_verify: bool = False
    is_test: bool = False
    limits: str | None = None
    networks: tuple[Network, ...] = ()

    @property
    def is_environment(self) -> bool:
        """Whether it is the key of `API_KEY`."""
        return self.owner == ENVIRONMENT

    def may(self, scope: Scope) -> bool:
        """Tell whether the key has this scope; admin has all."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, owner: str) -> bool:
        """Tell whether what `owner` made exists for this key."""
        return owner == self.owner or "admin" in self.scopes
