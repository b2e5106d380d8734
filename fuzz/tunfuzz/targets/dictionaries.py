"""Dictionaries: byte strings that mean something to a target, which libFuzzer inserts into its inputs.

Numbers of vnet headers are little-endian, as in the frames of the corpus; those of packets are big-endian.
"""

import json
from collections.abc import Iterator

from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import OPERATIONS
from tunproof.corpus.model import FORMAT
from tunproof.corpus.schema import schema_of
from tunproof.protocol import messages as protocol

__all__ = ["text_of"]

_WORDS = (0, 1, 7, 8, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
_GSO_TYPES = (0, 1, 3, 4, 5, 0x81, 0x84)
_PROTOCOLS = (0, 1, 6, 17, 41, 43, 44, 51, 58, 60)  # and IPv6 extension headers


def text_of(name: str) -> bytes:
    """Return the dictionary of a target in libFuzzer's format."""
    tokens = dict.fromkeys(_TOKENS[name]())
    return b"".join(b'"%s"\n' % b"".join(map(_escaped, token)) for token in tokens if token)


def _escaped(byte: int) -> bytes:
    plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
    return bytes((byte,)) if plain else b"\\x%02x" % byte


def _words() -> Iterator[bytes]:
    for word in _WORDS:
        yield word.to_bytes(2, "big")
        yield word.to_bytes(2, "little")


def _packet() -> Iterator[bytes]:
    """Yield what IP, TCP and UDP headers begin with and how they are changed."""
    yield from (b"\x45", b"\x46", b"\x4f", b"\x60\0\0\0", b"\x40\0", b"\x20\0", b"\x3f\xff")
    yield from (bytes((number,)) for number in _PROTOCOLS)
    yield from (bytes((number, 0)) for number in _PROTOCOLS)
    yield from (bytes((0x50, flags)) for flags in (0x10, 0x18, 0x11, 0x02, 0x04, 0x30, 0x90, 0xD0))
    yield from (b"\x80\x10", b"\xf0\x10", b"\x01\x01\x08\x0a", b"\x02\x04\x05\xb4", b"\xc2\x04")
    yield from _words()


def _frame() -> Iterator[bytes]:
    """Yield vnet headers, and what follows them."""
    for kind in _GSO_TYPES:
        yield bytes((1, kind))
        yield bytes((0, kind))
    for hdr_len, start, offset in ((40, 20, 16), (60, 40, 16), (28, 20, 6), (48, 40, 6)):
        yield hdr_len.to_bytes(2, "little")
        yield start.to_bytes(2, "little") + offset.to_bytes(2, "little")
    yield from _packet()


def _fields() -> Iterator[bytes]:
    """Yield csum_start and csum_offset in the form of `complete_checksum`."""
    for start in (0, 20, 40):
        for offset in (0, 6, 16):
            yield bytes((0, start, 0, offset))
    yield from _packet()


def _json(schema: object) -> Iterator[bytes]:
    """Yield every key and every fixed text of a schema, and JSON's own tokens."""
    yield from (b"{", b"}", b"[", b"]", b",", b":", b'""', b"null", b"true", b"false", b"0", b"-1", b"1e9", b"\\ud800")
    yield from (b"65535", b"65536", b"18446744073709551616", b"\xff", b'"\\u0000"', b"[[[[[[[[[[[[[[[[")
    yield from (json.dumps(text).encode() for text in sorted(set(_texts(schema))))


def _texts(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (text for text in [schema.get("const"), *schema.get("enum", [])] if isinstance(text, str))
        for value in schema.values():
            yield from _texts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _texts(value)


def _corpus() -> Iterator[bytes]:
    yield from _json([schema_of(op) for op in OPERATIONS])
    yield from (f'"{text}"'.encode() for text in (FORMAT, *OPERATIONS))


def _replies() -> Iterator[bytes]:
    yield from _json(protocol.schemas()["adapter"])
    yield from (f'"{text}"'.encode() for text in (*protocol.OPS, *protocol.MODES, *CAPABILITIES))


_TOKENS = {
    "header": _words,
    "checksum": _words,
    "complete_checksum": _fields,
    "segment": _frame,
    "coalesce": _packet,
    "predict": _frame,
    "corpus": _corpus,
    "replies": _replies,
}
