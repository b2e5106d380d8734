"""The command line: it parses, calls, and prints.

commands    kernel, check, report, kit, protocol, version; errors become exit codes
corpus      `tunproof corpus`
matrix      `tunproof matrix`; `matrix_run` has its longest command
show        `tunproof show`: one case for people
doctor      what this machine can test
bench       rates, compared with the floor
terminal    what is printed, on a terminal or into a pipe
options     options and output that several commands share
"""

from tunproof.cli.commands import main

__all__ = ["main"]
