"""Channels transport messages: a linked WhatsApp device, or the sandbox."""
