"""Who may do what: API keys, the admin's login, the audit log."""
