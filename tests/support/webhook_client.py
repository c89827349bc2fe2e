"""A webhook client, and names that resolve to chosen addresses."""

import asyncio

from hudhud.webhooks.address_policy import AddressPolicy, Resolve
from hudhud.webhooks.http_client import EndpointAnswer, WebhookClient

NAME = "receiver.example"
PUBLIC = "93.184.215.14"
SECONDS = 20.0


def leads_to(*addresses: str) -> Resolve:
    """Return a resolver that knows one answer."""
    return lambda _host, _port: addresses


def address_policy(*addresses: str, allow_private: bool = False) -> AddressPolicy:
    return AddressPolicy(allow_private=allow_private, resolve=leads_to(*addresses))


def said(answer: EndpointAnswer) -> str:
    """Return the English text of the error."""
    assert answer.error is not None
    return answer.error.english()


def post(
    where: AddressPolicy, url: str, *, answer_seconds: float = SECONDS, body: bytes = b"{}"
) -> EndpointAnswer:
    """Post once, as the dispatcher does."""

    async def once() -> EndpointAnswer:
        client = WebhookClient(where, most_connections=4, answer_seconds=answer_seconds)
        try:
            return await client.post(url, {"webhook-id": "evt_1"}, body)
        finally:
            await client.close()

    return asyncio.run(once())
