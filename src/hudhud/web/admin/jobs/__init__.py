"""Jobs in the dashboard."""
