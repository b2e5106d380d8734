"""The protocol as Markdown for people, generated from the types that decode it."""

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec.inspect import Field, StructType

from tunproof.corpus import script
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import VnetFields
from tunproof.corpus.claims import OFFLOADS, Claims, MostOf
from tunproof.corpus.codec import Hex, HexByte
from tunproof.protocol import messages as protocol

__all__ = ["markdown"]

_WIDTH = 120
_NOT_TOLD = (script.Feed, script.HangUp, script.Take, script.Link, script.Offloads)
"""Steps that concern only the runner's side, and are not sent to adapters."""
_NOT_SAID = (script.Frames, script.Names)
"""The answers that only those steps have."""

_RUNNER = (protocol.Hello, protocol.Runner, protocol.Attach, protocol.Run, protocol.Batch, protocol.Bye)
_ADAPTER = (
    protocol.HelloReply,
    protocol.Implementation,
    Claims,
    MostOf,
    protocol.OkReply,
    protocol.RejectedReply,
    protocol.UnsupportedReply,
    protocol.ErrorReply,
    protocol.BatchReply,
    VnetFields,
)
_TITLES = {protocol.HelloReply: "The reply to `hello`", protocol.BatchReply: "The reply to `batch`"}
_UNIONS = {"do": "step", "is": "answer to a step", "status": "reply"}
"""The name for one of several messages, by the key that distinguishes them."""


def markdown() -> str:
    """Return the protocol as Markdown."""
    parts = [
        "# The protocol",
        inspect.getdoc(protocol) or "",
        _limits(),
        "## Modes",
        _table(("mode", "how frames reach the implementation"), protocol.MODES.items()),
        "## Operations",
        _operations(),
        "## Capabilities",
        _table(("capability", "the implementation supports"), CAPABILITIES.items()),
        "## Offloads",
        _table(("offload", "what the kernel may hand over to a reader that asks for it"), OFFLOADS.items()),
        "## Messages from the runner",
        *(part for message in _RUNNER for part in _message(message)),
        *(part for op, given in protocol.INPUTS.items() for part in _message(given, f"Input of `{op}`")),
        "## Messages from the adapter",
        *(part for message in _ADAPTER for part in _message(message, _TITLES.get(message), may_omit=True)),
        "## The steps of a lifecycle",
        *_steps(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _limits() -> str:
    return _filled(
        f"This is version {protocol.VERSION}. A batch has at most {protocol.BATCHED} runs, or `maxBatch` if that is "
        f"less. The sentinel is `{protocol.SENTINEL.hex()}`, an IPv4 packet of protocol 253 without data; its vnet "
        "header is ten zero bytes."
    )


def _operations() -> str:
    rows = []
    for op, given in protocol.INPUTS.items():
        keys = ", ".join(f"`{field.encode_name}`" for field in _info(given).fields)
        results_of = " or ".join(f"`{name}`" for name in protocol.RESULTS[op]) or "nothing"
        rows.append((f"`{op}`", protocol.OPS.get(op, "perform one step of the lifecycle"), keys, results_of))
    return _rows(("op", "asks the adapter to", "input", "an `ok` has"), rows)


def _steps() -> Iterator[str]:
    yield _filled(
        "Each step is a run of the op `step`. The fd of `open-wire`, `open-tun` and `unattached-tun` has been prepared "
        "as the step says when it arrives; the adapter only takes it. The far end of a wire, the room on it and the "
        "state of a link are the runner's part too. A call that does not return within two seconds is answered "
        "`waiting`. Keys at their default are left out."
    )
    yield "\n".join(_alternative(step) for step in get_args(script.Step) if step not in _NOT_TOLD)
    yield "An answer is one of these:"
    yield "\n".join(_alternative(answer) for answer in get_args(script.Answer) if answer not in _NOT_SAID)


def _alternative(kind: type) -> str:
    """Return a list item for a step or an answer."""
    info = _info(kind)
    keys = "".join(f", `{field.encode_name}` ({_form(field, may_omit=True)})" for field in info.fields)
    lead, _ = _documented(kind)
    return _item(f'`"{info.tag_field}": "{info.tag}"`{keys}: {" ".join(lead.split())}')


def _message(kind: type, title: str | None = None, *, may_omit: bool = False) -> Iterator[str]:
    """Yield heading, meaning and keys of a message. `may_omit`: the sender may leave defaults out."""
    info = _info(kind)
    lead, meanings = _documented(kind)
    may_omit = may_omit or bool(kind.__struct_config__.omit_defaults)  # type: ignore[attr-defined]
    yield f"### {title or f'`{info.tag or kind.__name__}`'}"
    yield "\n\n".join(_filled(paragraph) for paragraph in lead.split("\n\n"))
    items = [] if info.tag is None else [_item(f'`{info.tag_field}`: `"{info.tag}"`')]
    for field in info.fields:
        meaning = meanings.get(field.name, "").removeprefix(f"`{field.encode_name}`, ")
        form = _form(field, may_omit=may_omit)
        items.append(_item(f"`{field.encode_name}` ({form})" + (f": {meaning}" if meaning else "")))
    yield "\n".join(items)


def _documented(kind: type) -> tuple[str, dict[str, str]]:
    """Return the lead of a docstring, and the meaning that it gives of each attribute."""
    lead, _, attributes = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.MULTILINE)
    return lead.strip(), {name: " ".join(text.split()) for name, text in found}


def _form(field: Field, *, may_omit: bool) -> str:
    """Return the form of a value, and its default if it may be left out."""
    form = _type(field.type)
    if field.required or not may_omit:
        return form
    default = msgspec.to_builtins(
        field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    )
    if default in (None, "", [], (), {}):
        return f"{form.removesuffix(' or null')}; optional"
    return f"{form}; default `{json.dumps(default)}`"


def _type(kind: msgspec.inspect.Type) -> str:  # noqa: PLR0911 (a table)
    """Return the form of a value, in words. Raises `TypeError` for a type that no message has used so far."""
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return _union(types)
        case StructType(cls=cls):
            return f"`{cls.__name__}`"
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{json.dumps(value)}`" for value in values)
        case msgspec.inspect.VarTupleType(item_type=item):
            form = _type(item)
            return f"list of {form}s" if form in {"integer", "string"} else f"list of {form}"
        case msgspec.inspect.IntType(ge=low, le=high):
            return _integer(low, high)
        case msgspec.inspect.StrType(pattern=pattern):
            return _PATTERNS[pattern]
        case msgspec.inspect.CustomType(cls=cls):
            return _BYTES[cls]
        case msgspec.inspect.BoolType():
            return "boolean"
        case msgspec.inspect.DictType():
            return "object"
    raise TypeError(f"{kind} has no description")


def _integer(low: int | None, high: int | None) -> str:
    if high is None:
        return "integer" if low is None else f"integer >= {low}"
    return f"integer from {low} to {high}"


def _union(types: tuple[msgspec.inspect.Type, ...]) -> str:
    values = [kind for kind in types if not isinstance(kind, msgspec.inspect.NoneType)]
    tags = {kind.tag_field for kind in values if isinstance(kind, StructType)}
    said = _UNIONS[tags.pop() or ""] if len(values) > 1 else _type(values[0])
    return said if len(values) == len(types) else f"{said} or null"


def _pattern(kind: Any) -> str:
    if get_origin(kind) is not Annotated:
        raise TypeError(f"{kind} has no pattern")
    return str(get_args(kind)[1].pattern)


_PATTERNS = {None: "string", _pattern(script.Name): "name"}
_BYTES: dict[type, str] = {Hex: "hex", HexByte: "one byte in hex"}


def _info(kind: type) -> StructType:
    info = msgspec.inspect.type_info(kind)
    if not isinstance(info, StructType):
        raise TypeError(f"{kind} is not a message")
    return info


def _table(head: tuple[str, str], items: Any) -> str:
    return _rows(head, [(f"`{name}`", text) for name, text in items])


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)).replace("| --- ", "|---")


def _item(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ", **_WRAPPING)


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH, **_WRAPPING)


_WRAPPING: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
