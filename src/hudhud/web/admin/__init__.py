"""The admin dashboard: who may enter, its pages, its JSON, what it does."""
