"""Background work: expiry, retention, forgetting, alerts, rotation of the secret."""
