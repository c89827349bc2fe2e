"""`hudhud doctor`: examine an installation."""
