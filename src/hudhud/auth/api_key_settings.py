"""Validate an API key's settings; they are stored as space-separated words."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

from hudhud.core import code_lengths
from hudhud.core.errors import BadRequest
from hudhud.core.ip_addresses import parse_network
from hudhud.core.plain_text import shortened
from hudhud.core.rates import parse_own_limits, write_own_limits
from hudhud.core.sentences import Sentence, say

MOST_NETWORKS = 50
LONGEST_NETWORK = 50

# sandbox: read the sandbox's messages; admin: everything, also under /admin.
Scope = Literal["send", "verify", "read", "sandbox", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_SCOPES: Final[tuple[Scope, ...]] = ("send", "verify", "read")


class WrongSetting(BadRequest):
    """A key's setting is wrong; `setting` is the argument of `create`."""

    def __init__(self, setting: str, said: Sentence | str) -> None:
        super().__init__(said)
        self.setting = setting


def write_scopes(scopes: Iterable[str], *, is_test: bool) -> str:
    """Format scopes for storage. Raises WrongSetting if none or unknown.

    A test key also gets the scope `sandbox`, to see its messages.
    """
    wanted = set(scopes)
    if not wanted or not wanted.issubset(SCOPES):
        raise WrongSetting("scopes", say("key.unknown_scope", listed=", ".join(SCOPES)))
    if is_test and "admin" in wanted:
        raise WrongSetting("scopes", say("key.test_not_admin"))
    if is_test:
        wanted.add("sandbox")
    return " ".join(scope for scope in SCOPES if scope in wanted)


def write_limits(text: str | None) -> str | None:
    """Format a key's own limits for storage, or return None.

    Raises WrongSetting if `rates.py` cannot parse them.
    """
    try:
        return write_own_limits(parse_own_limits(text))
    except BadRequest as error:
        raise WrongSetting("limits", error.sentence) from None


def write_networks(texts: Iterable[str]) -> str | None:
    """Format addresses and networks for storage; None allows all.

    Raises WrongSetting if one is invalid or if there are too many.
    """
    wanted = list(dict.fromkeys(_network(text) for text in texts))
    if len(wanted) > MOST_NETWORKS:
        raise WrongSetting("networks", say("key.too_many_networks", detail=MOST_NETWORKS))
    return " ".join(wanted) or None


def _network(text: str) -> str:
    try:
        network = parse_network(text)
    except ValueError:
        shown = shortened(text, LONGEST_NETWORK)
        raise WrongSetting("networks", say("key.no_network", shown=shown)) from None
    return str(network.network_address if network.num_addresses == 1 else network)


def require_code_length(length: int | None) -> None:
    """Raise WrongSetting unless the length is None or that of a code."""
    if length is not None and not code_lengths.SHORTEST <= length <= code_lengths.LONGEST:
        raise wrong_code_length()


def wrong_code_length() -> WrongSetting:
    """Return the error of a length that codes cannot have."""
    shortest, longest = code_lengths.SHORTEST, code_lengths.LONGEST
    return WrongSetting("code_length", say("key.code_length", shortest=shortest, longest=longest))
