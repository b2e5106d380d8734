"""Steps, answers and kernels of the corpus in a few words."""

import errno
import functools

import msgspec
from msgspec.structs import FieldInfo

from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, Reach, Reached
from tunproof.packets.difference import describe_packets

__all__ = ["errno_name", "handed_over", "what_it_does", "what_reach_means", "which_kernels", "words"]

_BYTES = {"frame", "packet", "data", "hdr", "transport_hdr"}


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    """Return the fields of a struct, which msgspec looks up anew each time."""
    return msgspec.structs.fields(kind)


def words(struct: msgspec.Struct) -> str:
    """Return a step or an answer of a lifecycle in a few words: bytes are counted, defaults are omitted."""
    said = [str(struct.__struct_config__.tag)]
    for field in _fields(type(struct)):
        value = getattr(struct, field.name)
        if value == field.default:
            continue
        if field.name in _BYTES and isinstance(value, bytes):
            said.append(f"{field.name} of {len(value)} bytes")
        elif field.name in {"packets", "pays"}:
            said.append(f"({', '.join(str(len(one)) for one in value) or 'no'} bytes)")
        elif field.name in {"fd", "device", "what", "state", "count"}:
            said.append(str(value))
        elif isinstance(value, tuple):
            said.append(", ".join(value) or "none")
        else:
            said.append(field.name if value is True else f"{field.name} {value}")
    return " ".join(said)


def which_kernels(answer: KernelAnswer) -> str:
    """Return the kernels that an answer is about, by the traits that they have and lack."""
    having = ", ".join(name for name, wanted in answer.when.items() if wanted)
    lacking = ", ".join(name for name, wanted in answer.when.items() if not wanted)
    words = [f"with {having}"] * bool(having) + [f"without {lacking}"] * bool(lacking)
    return " ".join(["a kernel", " and ".join(words)]).rstrip()


def what_it_does(answer: KernelDelivers | KernelRefuses | KernelLoses) -> str:
    """Return what such a kernel does."""
    match answer:
        case KernelDelivers(packets=packets):
            return f"delivers {describe_packets(packets)}"
        case KernelRefuses(errno=name):
            return f"refuses the write: {name}"
        case KernelLoses():
            return "accepts the write and loses it"


def what_reach_means(reach: Reach) -> str:
    """Return where input of this reach comes from."""
    return _REACH[reach]


def handed_over(one: Reached) -> str:
    """Return which kernels handed over the frames of a case, how, and to whom."""
    asked = f"a reader that asks for {', '.join(one.offloads)}" if one.offloads else "a reader that asks for no offload"
    length = "" if one.hdr_len is None else f", with hdr_len {one.hdr_len}"
    return f"{one.wiring}, to {asked}{length}: {', '.join(one.releases)}"


_REACH: dict[Reach, str] = {
    "kernel": "a kernel hands such input to whoever reads from its TUN",
    "peer": "the bytes come from the other end of a tunnel",
    "caller": "the arguments of the code that calls decide",
    "hostile": "no known kernel hands it over; a guest or a corrupt sender can",
}


def errno_name(number: int) -> str:
    """Return the name of an errno, or its number where it has none."""
    return errno.errorcode.get(number, str(number))
