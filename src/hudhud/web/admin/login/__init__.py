"""The login of admins and what guards their pages."""
