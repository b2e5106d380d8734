"""The command line: it parses, calls, and prints.

commands    kernel, check, report, kit, protocol, version; errors become exit codes
corpus      `tunproof corpus`
matrix      `tunproof matrix`, and `matrix_run` its longest command
show        `tunproof show`: one case for people
doctor      what this machine can test
bench       rates beside the floor
terminal    what is printed, on a terminal or into a pipe
options     what several commands have in common
"""

from tunproof.cli.commands import main

__all__ = ["main"]
