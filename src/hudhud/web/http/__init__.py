"""HTTP shared by the API and the dashboard."""
