"""What is generated for implementers: the protocol and the verdicts in the guide, and the JSON Schemas beside it.

In a checkout

    python -m tunproof.authoring.guide

brings all of them up to date.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from tunproof.corpus.load import CORPORA
from tunproof.errors import TunproofError, UsageError
from tunproof.judge.verdict import Kind
from tunproof.protocol import messages
from tunproof.protocol.text import markdown
from tunproof.runs import results

__all__ = ["GUIDE", "SCHEMAS", "refreshed", "schema_files", "schemas"]

GUIDE = Path("harness/README.md")
SCHEMAS = Path("harness/schema")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas: for a runner's line, an adapter's line, and a stream of results."""
    return {**messages.schemas(), "results": results.schema()}


def schema_files() -> dict[str, str]:
    """Return the content of each schema file by its name."""
    return {
        f"{name}.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }


def refreshed(guide: str) -> str:
    """Return the guide with its generated parts up to date. Raises `ValueError` if a marker is missing."""
    for name, text in {"protocol": markdown(), "verdicts": _verdicts()}.items():
        begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->"
        head, found, rest = guide.partition(begin)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"the guide has no pair of markers {name!r}")
        guide = f"{head}{begin}\n{text}\n{end}{tail}"
    return guide


def _verdicts() -> str:
    """Return the table of the verdicts."""
    return "\n".join(line for line in (inspect.getdoc(Kind) or "").split("\n") if line.startswith("|")) + "\n"


def _write() -> None:
    """Bring the guide and the schemas of this checkout up to date. Raises `UsageError` elsewhere."""
    if not CORPORA.is_symlink():
        raise UsageError("the guide only exists in a checkout of the repository; this is an installed tunproof")
    root = CORPORA.resolve().parent
    (root / SCHEMAS).mkdir(exist_ok=True)
    for name, content in schema_files().items():
        (root / SCHEMAS / name).write_text(content, "utf-8")
    guide = root / GUIDE
    guide.write_text(refreshed(guide.read_text("utf-8")), "utf-8")


def main() -> None:
    """Run `python -m tunproof.authoring.guide`."""
    try:
        _write()
    except TunproofError as error:
        sys.stderr.write(f"tunproof: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
