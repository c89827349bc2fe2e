"""API keys in the dashboard."""
