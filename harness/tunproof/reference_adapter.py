"""Kept for `python -m tunproof.reference_adapter`, until tunproof 0.3: it is `tunproof.subjects.reference_adapter`."""

from tunproof.subjects.reference_adapter import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
