"""The accounts that send: records, leases, commands, the overview for admins."""
