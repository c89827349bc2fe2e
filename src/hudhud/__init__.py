"""Hudhud: self-hosted phone verification over WhatsApp.

The way of one code, by folder: `web/api` reads the request, `verification` accepts it, `messages`
queues it, `worker` claims and sends it through a channel of `channels`, records its receipts in
`messages`, and `webhooks` reports each change. `docs/architecture.md` has the files.
"""

__version__ = "0.1.0"
