"""Steps, answers and kernels of the corpus in a few words."""

import msgspec

from tunproof.corpus.model import KernelAnswer, KernelDelivers, KernelLoses, KernelRefuses, from_hex
from tunproof.packets.difference import describe_packets

__all__ = ["what_it_does", "which_kernels", "words"]

_BYTES = {"frame", "packet", "data", "hdr", "transport_hdr"}


def words(struct: msgspec.Struct) -> str:
    """Return a step or an answer of a lifecycle in a few words: bytes are counted, defaults are omitted."""
    said = [str(struct.__struct_config__.tag)]
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if value == field.default:
            continue
        if field.name in _BYTES and isinstance(value, str):
            said.append(f"{field.name} of {len(value) // 2} bytes")
        elif field.name in {"packets", "pays"}:
            said.append(f"({', '.join(str(len(one) // 2) for one in value) or 'no'} bytes)")
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
            return f"delivers {describe_packets(from_hex(packets))}"
        case KernelRefuses(errno=errno):
            return f"refuses the write: {errno}"
        case KernelLoses():
            return "accepts the write and loses it"
