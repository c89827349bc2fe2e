"""`python -m hudhud` is the command line too."""

from hudhud.cli import main

main()
