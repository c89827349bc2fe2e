"""HTTP code shared by the API and the dashboard."""
