"""`hudhud doctor`: the checks of an installation."""

from hudhud.cli.doctor.command import doctor

__all__ = ["doctor"]
