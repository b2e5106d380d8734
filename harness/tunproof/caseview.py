"""One case for people: what goes in, what must come out, the picture of the cut, the bytes, and why it matters."""

from tunproof.corpus.cases import Case
from tunproof.corpus.load import Corpus
from tunproof.terminal import Terminal

__all__ = ["show"]


def show(terminal: Terminal, case: Case, corpus: Corpus) -> None:
    """Print one case."""
    terminal.out.print(f"{case.id} {corpus.flags.keys()}")
