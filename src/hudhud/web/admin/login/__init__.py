"""Login of admins, and access control of their pages."""
