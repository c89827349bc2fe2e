"""Work in the background: expiry, retention, forgetting, rotation of the secret."""
