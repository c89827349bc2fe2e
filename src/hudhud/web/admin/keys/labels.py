"""Labels of API keys: scopes, kinds of limits, overlap, expiry."""

from hudhud.auth.api_key_settings import Scope
from hudhud.core.rates import UNIT_MS, LimitKind
from hudhud.web.admin.ui.format import Format


def scope_words(fmt: Format) -> dict[Scope, str]:
    """Return the label of each scope."""
    return {
        "send": fmt.gettext("requests codes"),
        "verify": fmt.gettext("checks codes"),
        "read": fmt.gettext("reads their status"),
        "sandbox": fmt.gettext("reads messages of the sandbox"),
        "admin": fmt.gettext("full access, like this dashboard"),
    }


def kind_words(fmt: Format) -> dict[LimitKind, str]:
    """Return the label of each kind of limit."""
    return {
        "per_number": fmt.gettext("For one number"),
        "per_key": fmt.gettext("For this key"),
        "per_client_ip": fmt.gettext("For one client address"),
        "per_country": fmt.gettext("For one country"),
        "per_prefix": fmt.gettext("For neighbouring numbers"),
        "wrong_codes": fmt.gettext("Wrong codes for one number"),
        "links": fmt.gettext("Links for one number"),
    }


def overlap_words(fmt: Format) -> dict[str, str]:
    """Return the labels of the choices of overlap."""
    return {
        "0": fmt.gettext("ends at once"),
        "1h": fmt.gettext("works for 1 hour more"),
        "24h": fmt.gettext("works for 1 day more"),
        "7d": fmt.gettext("works for 7 days more"),
        "30d": fmt.gettext("works for 30 days more"),
    }


def time_left(fmt: Format, until: int) -> str:
    """Return how long a secret still works, rounded up to days."""
    day = UNIT_MS["d"]
    left = until - fmt.now
    return fmt.left(until) if left < day else fmt.span(-(-left // day) * day)
