"""HTTP: the API, its errors, health, and the pages."""
