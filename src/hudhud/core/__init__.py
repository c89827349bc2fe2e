"""The base of the other packages; it imports nothing of Hudhud but itself."""
