"""Rendering of the dashboard: pages, language, formats, forms."""
