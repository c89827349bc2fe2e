"""Verification by a link: the user writes first."""
