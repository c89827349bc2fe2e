"""Channels carry messages: a linked WhatsApp device, or the sandbox that sends nothing."""
