"""`python -m tunproof`: the command."""

from tunproof.cli import main

main()
