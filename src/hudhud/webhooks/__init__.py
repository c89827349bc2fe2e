"""Webhooks: events, and their delivery to endpoints."""
