"""Playing a lifecycle script with the reference."""

from tunproof.corpus.script import Answer, Script

__all__ = ["play"]


def play(script: Script) -> list[Answer]:
    """Return what each step answers."""
    raise NotImplementedError(script)
