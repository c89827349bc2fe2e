"""`hudhud doctor`: examine an installation."""

from hudhud.cli.doctor.command import doctor

__all__ = ["doctor"]
