"""Limits on starting verifications: rates, countries, conversions."""
