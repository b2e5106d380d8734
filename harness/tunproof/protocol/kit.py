"""The kits that the guide refers to: files to copy and fill in."""

from importlib import resources

from tunproof.errors import UsageError

__all__ = ["KITS", "kit"]

KITS = {"python": "adapter.py", "go": "adapter.go", "rust": "adapter.rs", "c": "adapter.c"}
"""The file of each language."""


def kit(language: str) -> str:
    """Return the kit of a language. Raises `UsageError`."""
    if language not in KITS:
        others = "for any other language, `tunproof protocol` prints the protocol"
        raise UsageError(f"there is no kit for {language!r}; there are {', '.join(KITS)}; {others}")
    return resources.files("tunproof.protocol.kits").joinpath(KITS[language]).read_text("utf-8")
