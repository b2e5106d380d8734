"""Bytes inside, hex at the edge: how structs with bytes become JSON, and JSON becomes structs again.

A field of bytes is annotated `Hex`: in JSON it is lower-case hex, and everywhere else it is bytes. Whatever has such
fields is written and read here and nowhere else, because `msgspec` by itself spells bytes in base64.
"""

import base64
from typing import TYPE_CHECKING, Any, Literal

import msgspec

__all__ = ["Hex", "HexByte", "builtins_of", "convert", "decoder", "encode", "formatted", "schema_components", "shown"]

if TYPE_CHECKING:
    Hex = bytes
    HexByte = bytes
else:

    class Hex(bytes):
        """Bytes: in JSON a string of lower-case hex."""

        __slots__ = ()

    class HexByte(bytes):
        """One byte, as `Hex`."""

        __slots__ = ()


_PATTERNS: dict[Any, str] = {Hex: "^(?:[0-9a-f][0-9a-f])*$", HexByte: "^[0-9a-f]{2}$"}


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return a decoder of JSON for a type whose structs may have bytes. It raises `msgspec.DecodeError`."""
    return msgspec.json.Decoder(kind, dec_hook=_decoded)


def convert(value: object, kind: Any) -> Any:
    """Return plain JSON values as a struct. Raises `msgspec.ValidationError`."""
    return msgspec.convert(value, kind, dec_hook=_decoded)


def builtins_of(value: object) -> Any:
    """Return a struct, or a container of structs, as plain JSON values."""
    return _spelled(msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=bytes.hex))


def encode(value: object, *, order: Literal["sorted"] | None = None) -> bytes:
    """Return a struct, or a container of structs, as JSON in one line."""
    return msgspec.json.encode(builtins_of(value), order=order)


def formatted(value: object, *, indent: int = 1) -> bytes:
    """Return JSON for files that people read, with a line feed at the end."""
    return msgspec.json.format(encode(value), indent=indent) + b"\n"


def shown(value: object) -> str:
    """Return a value for people: bytes in hex, structs and lists of them as JSON, anything else as Python shows it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct) or (
        isinstance(value, list) and any(isinstance(one, msgspec.Struct) for one in value)
    ):
        return encode(value).decode()
    return str(value)


def schema_components(kinds: tuple[Any, ...]) -> tuple[tuple[dict[str, Any], ...], dict[str, dict[str, Any]]]:
    """Return the JSON Schema of each type, and the definitions that they refer to."""
    made, definitions = msgspec.json.schema_components(kinds, schema_hook=_schema, ref_template="#/$defs/{name}")
    return tuple(map(_with_hex_defaults, made)), {name: _with_hex_defaults(one) for name, one in definitions.items()}


def _decoded(kind: type[bytes], text: object) -> bytes:
    """Return the bytes of a hex string; msgspec adds the position to the error."""
    if not isinstance(text, str):
        raise TypeError(f"Expected `str`, got `{_JSON_NAMES.get(type(text), type(text).__name__)}`")
    try:
        value = kind.fromhex(text)
    except ValueError:
        value = None
    if value is None or value.hex() != text or (kind is HexByte and len(value) != 1):
        raise ValueError(f"Expected `str` matching regex {_PATTERNS[kind]!r}")
    return value


_JSON_NAMES = {int: "int", float: "float", bool: "bool", list: "array", dict: "object", type(None): "null"}


def _schema(kind: type) -> dict[str, Any]:
    if kind not in _PATTERNS:
        raise NotImplementedError
    return {"type": "string", "pattern": _PATTERNS[kind]}


def _with_hex_defaults(node: Any) -> Any:
    """Return a schema in which defaults of bytes are hex: msgspec spells them in base64."""
    if isinstance(node, list):
        return [_with_hex_defaults(value) for value in node]
    if not isinstance(node, dict):
        return node
    made = {key: _with_hex_defaults(value) for key, value in node.items()}
    if node.get("pattern") in _PATTERNS.values() and "default" in node:
        made["default"] = base64.b64decode(node["default"]).hex()
    return made


def _spelled(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _spelled(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_spelled(value) for value in node]
    return node.hex() if isinstance(node, bytes) else node
