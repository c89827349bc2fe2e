"""The admin dashboard: login, pages, JSON API and actions."""
