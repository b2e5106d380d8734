"""What all one-file HTML pages share: templates, the style, and the hashes for a Content-Security-Policy."""

import base64
import functools
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["STYLE", "environment", "source_hash"]

STYLE = Path(__file__).parent / "page.css"
"""The look of every page."""


@functools.cache
def environment(folder: Path) -> Environment:
    """Return an environment for the templates of a folder: all values are escaped, and unknown names are errors."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source_hash(text: str) -> str:
    """Return the source expression for an inline style or script in a Content-Security-Policy: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
