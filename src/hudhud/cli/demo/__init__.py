"""`hudhud demo`: see a code arrive without a phone."""

from hudhud.cli.demo.command import demo

__all__ = ["demo"]
