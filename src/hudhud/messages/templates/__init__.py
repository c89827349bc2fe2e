"""Texts of messages: those shipped with Hudhud and the operator's own."""
