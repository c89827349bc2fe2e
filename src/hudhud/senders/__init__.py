"""Senders: records, leases, commands and the overview for admins."""
