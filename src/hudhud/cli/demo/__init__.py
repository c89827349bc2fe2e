"""`hudhud demo`: see a code arrive without a phone."""
