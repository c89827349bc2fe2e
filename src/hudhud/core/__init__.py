"""The base of the other packages; imports no other package of Hudhud."""
