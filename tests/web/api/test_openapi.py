"""The API conforms to its OpenAPI document, tested by schemathesis."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from support.keyed_api import NO_LIMITS, OTP, KeyedApi, keyed, new_number
from support.queued import put_sender
from support.web_server import KEY, PHONE, WebServer

Operations = dict[tuple[str, str], APIOperation[Any, Any, Any, Any]]
Case = schemathesis.Case[Any]

EXAMPLES = 12
# Only operations with parameters or a body can be called wrongly.
WITH_INPUT = [
    ("POST", f"{OTP}/send"),
    ("POST", f"{OTP}/verify"),
    ("POST", f"{OTP}/link"),
    ("GET", f"{OTP}/link/{{verification_id}}/qr"),
    ("GET", f"{OTP}/{{identifier}}"),
    ("GET", OTP),
    ("POST", f"{OTP}/{{identifier}}/cancel"),
    ("POST", f"{OTP}/{{identifier}}/resend"),
    ("GET", "/api/v1/sandbox/messages"),
    ("POST", "/api/v1/sandbox/inbound"),
]
DESCRIBED = [*WITH_INPUT, ("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz")]
BY_MODE = [(GenerationMode.POSITIVE, *operation) for operation in DESCRIBED] + [
    (GenerationMode.NEGATIVE, *operation) for operation in WITH_INPUT
]
# A number of the described form may exist in no country, and unknown fields of a query or body are
# ignored.
EXCLUDED: list[CheckFunction] = [positive_data_acceptance, negative_data_rejection]


@pytest.fixture(scope="session")
def operations(api: WebServer) -> Operations:
    """The operations of the document, by method and path."""
    schema = schemathesis.openapi.from_url(f"{api.client.base_url}/api/openapi.json")
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return {(operation.method.upper(), operation.path): operation for operation in found}


@pytest.fixture
def keys(empty_api: WebServer) -> list[KeyedApi]:
    """Keys with all scopes, few scopes, or revoked."""
    put_sender(empty_api.database)  # makes it strictly ready
    scopes = ("send", "verify", "read", "sandbox")
    free = keyed(empty_api, *scopes, may_link_verify=True)
    limited = keyed(empty_api, *scopes, limits=f"{NO_LIMITS} per_key=3/1h")
    return [
        free,
        keyed(empty_api, "admin"),
        limited,
        keyed(empty_api, "send"),
        KeyedApi(empty_api, KEY),
        KeyedApi(empty_api, "hh_live_nobody"),
    ]


class Known:
    """Objects that some of schemathesis's requests should find."""

    def __init__(self, shop: KeyedApi) -> None:
        self._shop = shop
        pending, used, over, canceled, *sent = (self._accepted() for _ in range(8))
        for one in sent:
            shop.change_job(one["jobId"], status="sent", created_at=0)
        shop.check(jobId=used["jobId"], otp="4711")
        shop.change(over["verificationId"], expires_at=0)
        shop.ask("POST", f"{OTP}/{canceled['jobId']}/cancel")
        self.link = shop.ask("POST", f"{OTP}/link", {"mode": "reply"}).json()["verificationId"]
        found = [*sent, pending, used, over, canceled]
        self.ids = [self.link, *(one["verificationId"] for one in found)]
        self.jobs = [str(one["jobId"]) for one in found]

    def _accepted(self) -> dict[str, Any]:
        return self._shop.accepted(new_number(), code="4711")

    def bodies(self) -> list[dict[str, Any]]:
        """Return right and wrong checks of existing verifications."""
        typed = ["4711", "4712", "٤٧١١"]
        return [{"verificationId": one, "otp": otp} for one in self.ids for otp in typed]

    def put_into(self, case: Case, data: st.DataObject) -> None:
        """Point most requests at existing objects and a valid number."""
        if data.draw(st.integers(0, 3)) == 0:
            return
        path = case.path_parameters
        if "identifier" in path:
            path["identifier"] = data.draw(st.sampled_from(self.ids + self.jobs))
            case.query.pop("wait", None)  # requests would wait for it
        if "verification_id" in path:
            path["verification_id"] = data.draw(st.sampled_from([self.link, *self.ids]))
        if "phoneNumber" in case.query:
            case.query["phoneNumber"] = PHONE
        if isinstance(case.body, dict) and "phoneNumber" in case.body:
            case.body["phoneNumber"] = PHONE
        if case.path == f"{OTP}/verify":
            case.body = data.draw(st.sampled_from(self.bodies()))
            case.media_type = "application/json"


def test_the_document_describes_the_whole_api(operations: Operations) -> None:
    assert sorted(operations) == sorted(DESCRIBED)


@pytest.mark.parametrize(("mode", "method", "path"), BY_MODE)
def test_every_answer_conforms_to_the_document(
    operations: Operations, keys: list[KeyedApi], mode: GenerationMode, method: str, path: str
) -> None:
    known = Known(keys[0])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        case=operations[method, path].as_strategy(generation_mode=mode),
        key=st.sampled_from([keys[0]] * len(keys) + keys),
        data=st.data(),
    )
    def check(case: Case, key: KeyedApi, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE:
            known.put_into(case, data)
        case.call_and_validate(headers={"X-API-KEY": key.key}, excluded_checks=EXCLUDED)

    check()
