"""The form that creates an API key: its values and their validation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hudhud.auth.api_key_settings import DEFAULT_SCOPES, WrongSetting, wrong_code_length
from hudhud.core import code_lengths
from hudhud.core.rates import KINDS, UNIT_MS, LimitKind, parse_rates
from hudhud.core.sentences import say
from hudhud.core.whole_numbers import whole_number
from hudhud.web.admin.ui.forms import Form

LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The values of the fields, by default those of a new form."""

    name: str = ""
    scopes: Sequence[str] = DEFAULT_SCOPES
    is_test: bool = False
    shows_code: bool = False
    may_link_verify: bool = False
    networks: str = ""
    days: str = ""
    digits: str = ""
    limits: dict[LimitKind, str] = field(default_factory=dict)

    def own_limits(self) -> str:
        """Return the typed limits in one text. Raises WrongSetting naming the kind."""
        words = []
        for kind, text in self.limits.items():
            rates = "".join(text.split())
            if not rates:
                continue
            try:
                parse_rates(rates)
            except ValueError:
                raise WrongSetting(kind, say("key.no_limit")) from None
            words.append(f"{kind}={rates}")
        return " ".join(words)

    def network_list(self) -> list[str]:
        """Return the addresses and networks, separated by commas or spaces."""
        return self.networks.replace(",", " ").split()

    def code_length(self) -> int | None:
        """Return the digits of codes, or None for the usual ones. Raises WrongSetting."""
        typed = self.digits.strip()
        length = whole_number(typed, most=code_lengths.LONGEST) if typed else None
        if typed and length is None:
            raise wrong_code_length()
        return length

    def expires_at(self, now: int) -> int | None:
        """Return when the key expires, or None for never. Raises WrongSetting."""
        typed = self.days.strip()
        if not typed:
            return None
        days = whole_number(typed, least=1, most=LONGEST_DAYS)
        if days is None:
            raise WrongSetting("days", say("key.days", detail=LONGEST_DAYS))
        return now + days * UNIT_MS["d"]


def typed_in(form: Form) -> KeyForm:
    """Return the key form with the posted values."""
    return KeyForm(
        name=form.one("name"),
        scopes=form.all("scope"),
        is_test=bool(form.one("test")),
        shows_code=bool(form.one("show_code")),
        may_link_verify=bool(form.one("link_verify")),
        networks=form.one("networks"),
        days=form.one("days"),
        digits=form.one("code_length"),
        limits={kind: form.one(kind) for kind in KINDS},
    )
