"""The API answers as its OpenAPI document says, whatever schemathesis invents."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from support.queued import put_sender
from support.web_server import KEY, WebServer

Operations = dict[tuple[str, str], APIOperation[Any, Any, Any, Any]]

DESCRIBED = [
    ("POST", "/api/v1/otp/send"),
    ("GET", "/api/v1/otp/{job_id}"),
    ("GET", "/api/v1/sandbox/messages"),
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]


# What nobody can call wrongly takes neither parameters nor a body.
BY_MODE = [(GenerationMode.POSITIVE, *operation) for operation in DESCRIBED] + [
    (GenerationMode.NEGATIVE, *operation) for operation in DESCRIBED[:3]
]


@pytest.fixture
def operations(empty_api: WebServer) -> Operations:
    """What the document describes, by method and path."""
    put_sender(empty_api.database)  # so that it is strictly ready
    schema = schemathesis.openapi.from_url(f"{empty_api.client.base_url}/api/openapi.json")
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return {(operation.method.upper(), operation.path): operation for operation in found}


def test_the_document_describes_the_whole_api(
    operations: Operations,
) -> None:
    assert sorted(operations) == sorted(DESCRIBED)


@pytest.mark.parametrize(("mode", "method", "path"), BY_MODE)
def test_every_answer_is_as_described(
    operations: Operations, mode: GenerationMode, method: str, path: str
) -> None:
    @settings(
        max_examples=15,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=operations[method, path].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        # A number of the described form can still be one that no country has, and what nobody
        # asked for in a query or a body is ignored.
        excluded: list[CheckFunction] = [positive_data_acceptance, negative_data_rejection]
        case.call_and_validate(headers={"X-API-KEY": KEY}, excluded_checks=excluded)

    check()
