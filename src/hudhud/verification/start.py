"""Start a verification: choose its code and its wording."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from hudhud.auth.caller import Caller
from hudhud.channels.base import SANDBOX
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.messages.templates.catalog import Templates
from hudhud.verification.accept import Acceptor
from hudhud.verification.codes import canonical, new_code
from hudhud.verification.ids import new_verification_id
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.request import Accepted, NewVerification, SendRequest


class VerificationStarter:
    """Makes verifications by the settings and writes them, many in one transaction."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        cipher: CodeCipher,
        templates: Templates,
        countries: CountryPolicy,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._cipher = cipher
        self._templates = templates
        self._acceptor = Acceptor(settings, database, cipher, countries, clock)
        self._limits = Limits(settings)

    def make(
        self, request: SendRequest, *, caller: Caller, request_id: str, now: int
    ) -> NewVerification:
        """Choose the code and the wording; nothing is stored yet.

        Raises BadRequest for a template or locale that does not exist.
        """
        settings = self._settings
        ttl = request.ttl_seconds or settings.otp_ttl_seconds
        locale = self._templates.choose_locale(request.phone.country, request.locale, caller.name)
        template, body = self._templates.render(
            request.template, locale, key_name=caller.name, ttl_seconds=ttl
        )
        verification_id = new_verification_id(now)
        code = request.code or new_code(request.length or settings.otp_length)
        compared = canonical(code)
        return NewVerification(
            id=verification_id,
            request=request,
            caller=caller,
            code=code,
            code_digest=self._cipher.digest(verification_id, compared),
            code_index=self._cipher.index(compared),
            code_sealed=self._cipher.seal(verification_id, code),
            template=template,
            locale=locale,
            body=body,
            channel=SANDBOX if caller.is_test else settings.channel,
            limits=self._limits.limits_for(caller, request.phone, request.client_ip),
            request_id=request_id,
            created_at=now,
            expires_at=now + ttl * 1000,
        )

    def write(
        self, connection: Connection, group: Sequence[NewVerification]
    ) -> list[Accepted | Exception]:
        """Store a group in one transaction; see `Acceptor.write`."""
        return self._acceptor.write(connection, group)
