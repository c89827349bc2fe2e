"""Helpers that tests share in addition to fixtures."""
