"""The JSON Schemas of corpus files, one for each operation, made from the types that load them.

A file that its schema rejects is rejected by the loader too. The loader checks more than a schema can: digests,
ids, and that exactly one answer applies to every kernel.
"""

import inspect
import json
from types import GenericAlias
from typing import Any, Literal, get_args

import msgspec

from tunproof.corpus.cases import Case, CorpusFile
from tunproof.corpus.codec import schema_components
from tunproof.corpus.model import FORMAT

__all__ = ["FOLDER", "case_types", "file_name", "plain", "schema_of", "schemas"]

FOLDER = "schema"
"""Where the schemas are, below the folder of the corpus."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def case_types() -> dict[str, type]:
    """Return the type of the cases of each operation."""
    return {str(case_type.__struct_config__.tag): case_type for case_type in get_args(Case)}


def file_name(op: str) -> str:
    """Return the file name of an operation's schema."""
    return f"{op}.schema.json"


def schema_of(op: str) -> dict[str, Any]:
    """Return the schema of a file of cases of one operation."""
    case_type = case_types()[op]
    cases = GenericAlias(tuple, (case_type, ...))
    fields: list[tuple[str, Any]] = [("format", Literal[FORMAT]), ("cases", cases)]
    file_type = msgspec.defstruct("File", fields, bases=(CorpusFile,), frozen=True, kw_only=True)
    _, definitions = schema_components((file_type,))
    return {
        "$schema": _DRAFT,
        "title": f"tunproof corpus: {op}",
        "description": f"A file of cases of the operation {op}, format {FORMAT}. {inspect.getdoc(case_type)}",
        **{key: value for key, value in plain(definitions.pop("File")).items() if key not in {"title", "description"}},
        "$defs": {name: plain(definitions[name]) for name in sorted(definitions)},
    }


def schemas() -> dict[str, bytes]:
    """Return the content of every schema file by its name."""
    return {
        file_name(op): (json.dumps(schema_of(op), indent=1, ensure_ascii=False) + "\n").encode() for op in case_types()
    }


def plain(node: Any) -> Any:
    """Return a schema without `discriminator`: OpenAPI has it, JSON Schema does not, and strict validators complain.

    Descriptions come from docstrings. Python strips their indentation since 3.13, so it is stripped here for all.
    """
    if isinstance(node, dict):
        return {key: _plain_value(key, value) for key, value in node.items() if key != "discriminator"}
    return [plain(value) for value in node] if isinstance(node, list | tuple) else node


def _plain_value(key: str, value: Any) -> Any:
    return inspect.cleandoc(value) if key == "description" and isinstance(value, str) else plain(value)
