"""Hudhud: self-hosted phone verification over WhatsApp."""

__version__ = "0.1.0"
