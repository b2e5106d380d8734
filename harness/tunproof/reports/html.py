"""What pages of one HTML file have in common: how templates are filled in, the style, and how a page names its own."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["STYLE", "environment", "source_hash"]

STYLE = Path(__file__).parent / "page.css"
"""The look of every page."""


def environment(folder: Path) -> Environment:
    """Return what fills in the templates of a folder: all values are escaped, and unknown names are errors."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source_hash(text: str) -> str:
    """Return the name of a style or script of the page's own in its Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
