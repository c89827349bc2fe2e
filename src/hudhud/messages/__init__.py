"""Messages: the queue, their states and receipts, counts, lists and search."""
