"""A local WhatsApp server with virtual phones, for tests and demos."""
