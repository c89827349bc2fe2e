"""The processes that carry messages."""
