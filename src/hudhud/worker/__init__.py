"""The senders' processes, and their supervisors."""
