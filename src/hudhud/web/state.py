"""The objects that routes share, in the application's state.

Litestar's dependencies would resolve in a separate task group per request, which reduced the API's
throughput by a quarter (measured with py-spy, see docs/decisions).
"""

from dataclasses import dataclass
from typing import cast

from hudhud.auth.api_key_cache import ApiKeyCache
from hudhud.auth.wrong_keys import WrongKeys
from hudhud.core.crypto import Cipher, CodeCipher
from hudhud.db.engine import Database
from hudhud.db.group_commit import GroupCommit
from hudhud.db.write_probe import WriteProbe
from hudhud.messages.delivery_spans import PastTimes
from hudhud.verification.check import Check, Checked
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.links.inbound import LinkReplies
from hudhud.verification.links.start import LinkStarter
from hudhud.verification.new_verification import Accepted, NewVerification
from hudhud.verification.resend import Resender
from hudhud.verification.start import VerificationStarter
from hudhud.verification.trials import Trials
from hudhud.verification.waiting import EndWaiter
from hudhud.web.http.request import AnyRequest
from hudhud.webhooks.address_policy import AddressPolicy


@dataclass(frozen=True, slots=True)
class OwnSender:
    """This machine's sender as configured: its name, channel and pace."""

    name: str
    channel: str
    pace_ms: tuple[int, int]  # the shortest and the longest gap between two messages
    mean_gap: float  # in seconds; 0 on the sandbox, which has no pace


@dataclass(frozen=True, slots=True)
class AppState:
    """The objects shared by all requests."""

    database: Database
    write_probe: WriteProbe
    cipher: CodeCipher
    api_key_cache: ApiKeyCache
    wrong_keys: WrongKeys
    starter: VerificationStarter
    acceptances: GroupCommit[NewVerification, Accepted]
    checks: GroupCommit[Check, Checked]
    trials: Trials
    resends: Resender
    links: LinkStarter
    link_replies: LinkReplies
    waiting: EndWaiter
    address_policy: AddressPolicy
    webhook_secrets: Cipher
    limits: Limits
    past_times: PastTimes
    sender: OwnSender
    code_ttl_seconds: int
    code_max_attempts: int
    audit_kept_days: int
    has_environment_key: bool


def state_of(request: AnyRequest) -> AppState:
    """Return the shared state of the request's application."""
    return cast("AppState", request.app.state.app_state)
