"""Limits on starting verifications: rates, countries and conversion."""
