"""Authentication and authorization: API keys, the admin's login and the audit."""
