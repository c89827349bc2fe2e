"""`python -m hudhud`: the command line."""

from hudhud.cli import main

main()
