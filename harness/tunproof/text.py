"""Foreign text, made safe to show: a subject's messages and its stderr may contain anything."""

import re

__all__ = ["legible", "shortened"]

# Control characters except tab and newline, lone surrogates, what XML 1.0 cannot contain, and what changes the writing
# direction.
_ILLEGIBLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def legible(text: str) -> str:
    """Return a text without characters that cannot be shown, or that would affect the display.

    Those with a picture in Unicode (NUL, ESC) are replaced by it, the others by U+FFFD. The result is valid in XML 1.0
    and into UTF-8.
    """
    if text.isprintable():  # most are, and are looked at a hundred thousand times
        return text
    return _ILLEGIBLE.sub(lambda found: _picture(ord(found[0])), text.replace("\r\n", "\n"))


def shortened(text: str, most: int, *, end: bool = False) -> str:
    """Return a text of at most `most` characters, its beginning or its end, stating how much was left out."""
    left = len(text) - most
    if left <= 0:
        return text
    return f"… {left} characters before this\n{text[-most:]}" if end else f"{text[:most]}\n… {left} more characters"


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
