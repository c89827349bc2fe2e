"""The audit log in the dashboard."""
