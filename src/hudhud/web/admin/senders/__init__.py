"""Senders in the dashboard."""
