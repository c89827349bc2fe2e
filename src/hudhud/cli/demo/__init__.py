"""`hudhud demo`: Hudhud against a local WhatsApp server."""

from hudhud.cli.demo.command import demo

__all__ = ["demo"]
