"""Text that others wrote, made fit to be shown: a subject may say anything, and its stderr may hold anything."""

import re

__all__ = ["legible", "shortened"]

# Control characters but for tab and newline, lone surrogates, what XML 1.0 has no room for, and what turns the
# direction of writing around.
_ILLEGIBLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def legible(text: str) -> str:
    """Return a text without characters that cannot be shown, or that would do something to whoever shows them.

    Those with a picture in Unicode (NUL, ESC) are replaced by it, the others by U+FFFD. The result fits into XML 1.0
    and into UTF-8.
    """
    if text.isprintable():  # most are, and are looked at a hundred thousand times
        return text
    return _ILLEGIBLE.sub(lambda found: _picture(ord(found[0])), text.replace("\r\n", "\n"))


def shortened(text: str, most: int, *, end: bool = False) -> str:
    """Return a text of at most `most` characters, its beginning or its end, that says how much was left out."""
    left = len(text) - most
    if left <= 0:
        return text
    return f"… {left} characters before this\n{text[-most:]}" if end else f"{text[:most]}\n… {left} more characters"


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
