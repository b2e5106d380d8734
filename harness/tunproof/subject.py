"""Kept for what already imports it, until tunproof 0.3: import it from `tunproof`."""

from tunproof.subjects.subject import InapplicableError, Subject, TurnedDownError, UnsupportedError

__all__ = ["InapplicableError", "Subject", "TurnedDownError", "UnsupportedError"]
