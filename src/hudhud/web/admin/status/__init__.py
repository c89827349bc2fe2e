"""The status page and its stream."""
