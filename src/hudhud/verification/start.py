"""Prepare a verification's code and text; `accept.py` stores or refuses it."""

from hudhud.auth.caller import Caller
from hudhud.channels.base import SANDBOX
from hudhud.core.crypto import CodeCipher
from hudhud.messages.templates.catalog import Templates
from hudhud.verification.codes import canonical, new_code
from hudhud.verification.ids import new_verification_id
from hudhud.verification.limits.rate_limits import Limits
from hudhud.verification.new_verification import NewVerification, SendRequest


class VerificationStarter:
    """Prepares verifications for `Acceptor`."""

    def __init__(
        self,
        cipher: CodeCipher,
        templates: Templates,
        limits: Limits,
        *,
        channel: str,
        code_length: int | None,
        ttl_seconds: int,
    ) -> None:
        self._cipher = cipher
        self._templates = templates
        self._limits = limits
        self._channel = channel
        self._code_length = code_length
        self._ttl_seconds = ttl_seconds

    def make(
        self, request: SendRequest, *, caller: Caller, request_id: str, now: int
    ) -> NewVerification:
        """Choose the code and the wording without storing anything.

        Raises BadRequest for a template that does not exist.
        """
        ttl = request.ttl_seconds or self._ttl_seconds
        locale = self._templates.choose_locale(request.phone.country, request.locale, caller.name)
        template, body = self._templates.render(
            request.template, locale, key_name=caller.name, ttl_seconds=ttl
        )
        verification_id = new_verification_id(now)
        code = request.code or new_code(request.length or caller.digits(self._code_length))
        compared = canonical(code)
        return NewVerification(
            id=verification_id,
            request=request,
            caller=caller,
            code=code,
            code_digest=self._cipher.digest(verification_id, compared),
            code_index=self._cipher.index(compared),
            code_sealed=self._cipher.codes.seal(verification_id, code),
            template=template,
            locale=locale,
            body=body,
            channel=SANDBOX if caller.is_test else self._channel,
            limits=self._limits.of_send(caller, request.phone, request.client_ip),
            request_id=request_id,
            created_at=now,
            expires_at=now + ttl * 1000,
        )
