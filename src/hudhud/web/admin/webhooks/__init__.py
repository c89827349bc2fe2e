"""Webhooks in the dashboard."""
