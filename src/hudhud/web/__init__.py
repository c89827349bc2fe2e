"""HTTP: the API, health checks and the dashboard."""
