"""From a finding to author code: a module for `harness/tunproof/authoring/authors/`, ready to be recorded.

What is known is filled in: the input, what it requires, its valid sibling if the reference rejects it, and that kernel
and reference differ if the finding says so. Why that is right, and which kernels do so, is the author's to say:
`corpus build` checks it.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tio.virtio import HEADER_SIZE, GsoType, VnetFlag
from tio.wire import UdpLayout, VnetLayout
from tunproof.authoring.flags import FLAGS
from tunproof.authoring.oracle import rebuilt, right_but_for_zero
from tunproof.authoring.spelling import (
    Spelled,
    call,
    hexed,
    parenthesized,
    spell_frame,
    spell_packet,
    spell_pieces,
    spell_value,
)
from tunproof.corpus.cases import (
    ChecksumInput,
    EmitInput,
    GsoArguments,
    GsoInput,
    ParseInput,
    ReadInput,
    VnetFields,
    WriteInput,
)
from tunproof.corpus.codec import builtins_of, convert
from tunproof.corpus.load import Corpus
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.packets.builder import GsoPieces
from tunproof.packets.frame import segments_of
from tunproof.runs.findings import Finding, outcome_words, slug_of
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError
from tunproof.text import legible

__all__ = ["Promoted", "promote", "write_new"]

TOPIC = "found"
"""The topic of what fuzzing found, until its author files it elsewhere."""

_AUTHORING = "tunproof.authoring.draft"
_CASES = "tunproof.corpus.cases"
_LONGEST_ABOUT = 300
_LONGEST_WORDS = 85  # of a string on its own line
_WIDTH = 120

_INPUTS: dict[str, Any] = {
    "read": ReadInput,
    "write": WriteInput,
    "write_gso": GsoInput,
    "checksum": ChecksumInput,
    "header": ParseInput | EmitInput,
}
_BY_HAND = {
    "write_batch": "which packets a good coalescer joins is for an author to say",
    "lifecycle": "which answers are correct is for an author to say",
}
_Input = ReadInput | WriteInput | GsoInput | ChecksumInput | ParseInput | EmitInput


@dataclass(frozen=True, slots=True)
class Promoted:
    """Author code: the id of the case, the text of a module, and what its author must still check."""

    id: str
    code: str
    open_questions: tuple[str, ...]


@dataclass(slots=True)
class _Said:
    """What is stated about the case besides its input: keywords of `Topic.case`, as source."""

    options: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)


def promote(finding: Finding, corpus: Corpus) -> Promoted:
    """Return author code for a finding, under an unused id. Raises `UsageError`."""
    op, given = _asked(finding)
    spelled = _spell(given)
    case_id = _free(corpus, f"{op}/{TOPIC}/{_shape(given)}-{slug_of(finding.rule)}")
    said = _said(finding, op, given, corpus)
    if any(known.startswith(f"{op}/{TOPIC}/") for known in corpus.cases):
        said.questions.insert(0, f"topic {op}/{TOPIC} exists: paste the function into its module, without the Topic")
    return Promoted(case_id, _module(finding, case_id, spelled, said), tuple(said.questions))


def write_new(target: Path, code: str) -> None:
    """Write author code to a new file. Raises `UsageError`, `EnvironmentProblem`."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(code)
    except FileExistsError as error:
        raise UsageError(f"{target} exists and is not overwritten; name another file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"there is no folder {target.parent}") from error
    except OSError as error:
        cure = "name a writable file with --out, or omit --out"
        raise EnvironmentProblem(f"{target}: {error.strerror}", cure=cure) from error


# What was run.


def _asked(finding: Finding) -> tuple[str, _Input]:
    """Return operation and input of a finding, as in a case."""
    op = finding.operation or ("read" if "frame" in finding.input else "")
    if op in _BY_HAND:
        raise UsageError(f"findings of {op} are not promoted: {_BY_HAND[op]}; case.json has the input")
    if op not in _INPUTS:
        what = f"operation {op!r}" if op else "no operation, and its input is not a frame"
        raise UsageError(f"this {finding.kind} finding cannot be a case: it has {what}")
    if not finding.redirected:
        way = ", ".join(f"{name} {value}" for name, value in finding.way.items())
        raise UsageError(f"a case has only one path, redirected to a plain reader; this frame took another: {way}")
    try:
        given: _Input = convert(finding.input, _INPUTS[op])
    except msgspec.ValidationError as error:
        raise UsageError(f"the finding's input does not fit {op}: {error}") from error
    return op, given


def _spell(given: _Input) -> Spelled:
    match given:
        case ReadInput(before=()):
            return spell_frame(given.frame)
        case GsoInput(before=()):
            return spell_pieces(_pieces(given))
        case ReadInput(frame=frame, before=before):
            return _with_before(given, "frame", spell_frame(frame), before)
        case WriteInput(packet=packet, before=before):
            return _with_before(given, "packet", spell_packet(packet), before)
        case GsoInput(before=before):
            parts = [spell_pieces(_pieces(one)) for one in (given, *before)]
            names = {name: module for part in parts for name, module in part.names.items()}
            remark = "; ".join(part.remark for part in parts if part.remark)
            return Spelled(call("gso", *(part.text for part in parts)), {**names, "gso": _AUTHORING}, remark)
        case ChecksumInput() | ParseInput() | EmitInput():
            return _literal(given)


def _pieces(given: GsoArguments) -> GsoPieces:
    return GsoPieces(given.hdr, given.transport_hdr, given.pays)


def _with_before(given: ReadInput | WriteInput, key: str, main: Spelled, before: tuple[bytes, ...]) -> Spelled:
    """Return an input with what comes before it in hex: its outcome is not judged."""
    arguments = [f"{key}={main.text}"]
    if before:
        arguments.append(f"before={parenthesized(list(map(hexed, before)))}")
    if isinstance(given, WriteInput) and given.poison is not None:
        arguments.append(f"poison={spell_value(given.poison)}")
    name = type(given).__name__
    return Spelled(call(name, *arguments), {**main.names, name: _CASES}, main.remark)


def _literal(given: ChecksumInput | ParseInput | EmitInput) -> Spelled:
    structs = [type(given), *([VnetFields] if isinstance(given, EmitInput) else [])]
    return Spelled(_struct(given), {struct.__name__: _CASES for struct in structs})


def _struct(given: msgspec.Struct) -> str:
    told = builtins_of(given)  # without default values
    arguments = []
    for name in (name for name in given.__struct_fields__ if name in told):
        value = getattr(given, name)
        if isinstance(value, msgspec.Struct):
            arguments.append(f"{name}={_struct(value)}")
        else:
            arguments.append(f"{name}={hexed(value) if isinstance(value, bytes) else spell_value(value)}")
    return call(type(given).__name__, *arguments)


# What is special, and what is needed.


def _shape(given: _Input) -> str:
    """Return the kind of input in one word: "tcp4" for a superpacket of that kind, "partial" for a partial checksum."""
    known = _requires(given)
    return known[0].rpartition(".")[2] if known else "plain"


def _requires(given: _Input) -> tuple[str, ...]:
    match given:
        case ReadInput(frame=frame):
            return _of_frame(frame)
        case GsoInput():
            version, udp = given.hdr[:1].hex()[:1], len(given.transport_hdr) == UdpLayout.size
            return (f"gso.{'udp' if udp else 'tcp'}{version if version in {'4', '6'} else '4'}",)
        case ParseInput(size=size, byte_order=order) | EmitInput(size=size, byte_order=order):
            direction = "header.parse" if isinstance(given, ParseInput) else "header.emit"
            sized = (f"header.{size}",) if size in {12, 24} else ()
            return (direction, *sized, *(("header.big-endian",) if order == "big" else ()))
    return ()


def _of_frame(frame: bytes) -> tuple[str, ...]:
    if len(frame) <= HEADER_SIZE:
        return ()
    flags, kind = frame[VnetLayout.FLAGS.offset], frame[VnetLayout.GSO_TYPE.offset]
    udp = "gso.udp6" if frame[HEADER_SIZE] >> 4 == 6 else "gso.udp4"
    kinds: dict[int, str] = {GsoType.TCPV4: "gso.tcp4", GsoType.TCPV6: "gso.tcp6", GsoType.UDP_L4: udp}
    known = kinds.get(kind & ~GsoType.ECN)
    if known is not None:
        return (known,)
    return ("csum.partial",) if flags & VnetFlag.NEEDS_CSUM and not kind else ()


def _free(corpus: Corpus, wanted: str) -> str:
    """Return an unused id."""
    candidate, number = wanted, 1
    while candidate in corpus.cases:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate


def _said(finding: Finding, op: str, given: _Input, corpus: Corpus) -> _Said:
    said = _Said(names={"Topic": _AUTHORING, "observed": _AUTHORING})
    said.options["basis"] = f"({call('observed', spell_value(_basis(finding)))},)"
    requires = _requires(given)
    if requires:
        said.options["requires"] = spell_value(requires)
    if not any(flag in FLAGS for flag in finding.flags):
        said.questions.append("no known class of bugs: choose a flag, or explain a new one in corpus/flags")
    packets = _by_reference(given, said, corpus, op, requires)
    _by_kernel(finding, given, packets, said)
    return said


def _basis(finding: Finding) -> str:
    who = f"Linux {finding.kernel}" if finding.kind == "kernel" else finding.subject or f"tunproof {finding.version}"
    return _line(f"{who}, {finding.kind} finding {finding.digest}, {finding.rule}", _LONGEST_WORDS)


def _by_reference(given: _Input, said: _Said, corpus: Corpus, op: str, requires: tuple[str, ...]) -> list[bytes] | None:
    """Return the packets that a frame stands for by the reference, or None if it rejects the input."""
    with Reference() as reference:
        try:
            packets = _answer(reference, given)
        except TurnedDownError:
            sibling = _sibling(corpus, op, requires)
            if sibling is None:
                said.questions.append("the reference rejects it: name the nearest valid case as `sibling`")
            else:
                said.options["sibling"] = spell_value(sibling)
            return None
        except Exception as error:  # noqa: BLE001 (a crash may be what was found)
            said.questions.append(f"the reference crashes: {type(error).__name__}: {_line(str(error))}")
            return None
    if isinstance(given, ReadInput | GsoInput) and not all(map(_sound, packets)):
        said.options["sound"] = "False"
    return packets


def _answer(reference: Reference, given: _Input) -> list[bytes]:
    match given:
        case ReadInput(frame=frame, before=before):
            return reference.read(frame, before)
        case GsoInput(before=earlier):
            return [packet for frame in reference.write_gso(given, earlier) for packet in segments_of(frame)]
        case WriteInput(packet=packet, before=before):
            frames = reference.write(packet, before, None)
            return [piece for frame in frames for piece in segments_of(frame)]
        case ParseInput():
            reference.parse_header(given.bytes, given.size, given.byte_order)
        case EmitInput():
            reference.emit_header(given.fields, given.size, given.byte_order)
        case ChecksumInput():
            reference.checksum(given.data, given.initial)
    return []


def _sound(packet: bytes) -> bool:
    built = rebuilt(packet)
    return built == packet or right_but_for_zero(built, packet)


def _sibling(corpus: Corpus, op: str, requires: tuple[str, ...]) -> str | None:
    """Return the valid case that most faults of this kind name."""
    faults = [case for case in corpus.cases.values() if case.sibling is not None and case.id.startswith(f"{op}/")]
    alike = [case for case in faults if case.requires == requires] or faults
    named = Counter(case.sibling for case in alike).most_common(1)
    return named[0][0] if named else None


def _by_kernel(finding: Finding, given: _Input, packets: list[bytes] | None, said: _Said) -> None:
    """State how kernels are involved, and whether the observed one differs from the reference."""
    if not isinstance(given, ReadInput | GsoInput | WriteInput) or (packets is None and isinstance(given, GsoInput)):
        return
    if finding.kind != "kernel":
        said.questions.append("no kernel was run: if `corpus build` says that kernels differ, say why with `differs`")
    elif _differs(finding.got, packets):
        said.options["differs"] = spell_value(_line(f"not explained yet: {finding.title}", _LONGEST_WORDS))
        said.questions.append("kernel and reference differ: explain it in `differs`, or correct the reference")
    if _needs_uso(given) and finding.got.get("errno") != "EINVAL":
        said.options["kernels"] = 'needs("uso")'
        said.names["needs"] = _AUTHORING


def _needs_uso(given: _Input) -> bool:
    match given:
        case ReadInput(frame=frame):
            return frame[VnetLayout.GSO_TYPE.span] == bytes((GsoType.UDP_L4,))
        case GsoInput(pays=pays):
            return len(pays) > 1 and any(name.startswith("gso.udp") for name in _requires(given))
    return False


def _differs(got: Mapping[str, Any], packets: list[bytes] | None) -> bool:
    if got.get("outcome") != "delivered":
        return packets is not None
    return packets is None or [packet.hex() for packet in packets] != list(got.get("packets", ()))


# The text.


def _module(finding: Finding, case_id: str, spelled: Spelled, said: _Said) -> str:
    op, topic, name = case_id.split("/")
    flags = [flag for flag in finding.flags if flag in FLAGS] or ["Basic"]
    options = [f"{key}={value}" for key, value in said.options.items()]
    returned = _type_of(spelled)
    about = _line(finding.title, _LONGEST_ABOUT).rstrip(".").replace("\\", "/").replace('"', "'")
    lines = [
        '"""What fuzzing found, until it is filed elsewhere."""',
        "",
        *_imports({**spelled.names, **said.names, returned.__name__: returned.__module__}),
        "",
        f'{topic} = Topic("{op}", "{topic}")',
        f"TOPICS = ({topic},)",
        "",
        "",
        *(line for remark in _remarks(finding, spelled, said) for line in _wrapped("# ", remark, "#   ")),
        f"@{call(f'{topic}.case', *map(spell_value, flags), *options)}",
        f"def {name.replace('-', '_')}() -> {returned.__name__}:",
        *_wrapped('    """', f'{about}."""', "    "),
        *(f"    {line}" for line in f"return {spelled.text}".splitlines()),
    ]
    return "\n".join(lines) + "\n"


def _remarks(finding: Finding, spelled: Spelled, said: _Said) -> Iterator[str]:
    outcomes = f"expected {outcome_words(finding.expected)}, got {outcome_words(finding.got)}"
    yield _line(f"{finding.kind} finding {finding.digest}: {outcomes}", _LONGEST_ABOUT)
    yield _line(f"repeat: {finding.repro}", _LONGEST_ABOUT)
    if spelled.remark:
        yield spelled.remark
    yield from (f"to do: {question}" for question in said.questions)


def _type_of(spelled: Spelled) -> type:
    """Return the type of an expression: that of its outermost call."""
    name = spelled.text.partition("(")[0]
    types = (GsoPieces, ReadInput, WriteInput, ChecksumInput, ParseInput, EmitInput)
    return {"pieces": GsoPieces, "gso": GsoInput, **{one.__name__: one for one in types}}.get(name, bytes)


def _imports(names: Mapping[str, str]) -> Iterator[str]:
    """Yield import statements, sorted as ruff sorts them."""
    modules = sorted(set(names.values()) - {"builtins"}, key=lambda module: (not module.startswith("scapy"), module))
    for at, module in enumerate(modules):
        if at and module.startswith("scapy") != modules[at - 1].startswith("scapy"):
            yield ""
        wanted = sorted((name for name, place in names.items() if place == module), key=_import_order)
        line = f"from {module} import {', '.join(wanted)}"
        yield from [line] if len(line) <= _WIDTH else call(f"from {module} import ", *wanted).splitlines()


def _import_order(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), not name[0].isupper(), name


def _line(text: str, most: int = _LONGEST_ABOUT) -> str:
    """Return a text on one line, truncated to `most` characters."""
    return textwrap.shorten(legible(text), most, placeholder=" …")


def _wrapped(begin: str, text: str, further: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=begin, subsequent_indent=further, break_on_hyphens=False)
