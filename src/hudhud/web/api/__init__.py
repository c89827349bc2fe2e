"""The public API, one file per endpoint."""
