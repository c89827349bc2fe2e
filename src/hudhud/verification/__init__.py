"""Verifications: start, accept, check, resend, cancel."""
