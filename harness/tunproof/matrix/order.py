"""The order of Debian's versions, as deb-version(7) defines it."""

import re

__all__ = ["Order", "order"]

Order = tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]


def order(version: str) -> Order:
    """Return a key that sorts versions: 6.9 before 6.12, 6.12.1-1~bpo12+1 before 6.12.1-1. A series sorts as well."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch) if epoch.isdigit() else 0, _key(upstream if dash else rest), _key(revision if dash else "")


def _key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Split into non-digits and digits, alternating. The last pair is empty: a tilde sorts before the end."""
    return tuple((_weights(word), int(digits or "0")) for word, digits in re.findall(r"([^0-9]*)([0-9]*)", text))


def _weights(word: str) -> tuple[int, ...]:
    """Weigh each character: a tilde before the end, then letters, then all others."""
    return *(-1 if char == "~" else ord(char) + 256 * (not char.isalpha()) for char in word), 0
