"""Is the adapter honest? Probed before the first case, after every restart because it broke, and after the last case.

For each op that it claims there are two inputs whose correct answers differ. The first is so simple that every adapter
with the op answers it with `ok`; the second must not get the same answer. An op that does not exist must be
unsupported. An adapter that fails here says nothing about the implementation: it may not be connected to one at all.
"""

from dataclasses import dataclass

from tunproof.corpus.cases import Case, LifecycleCase
from tunproof.corpus.load import Corpus
from tunproof.judge.outcome import Answered, Broken, Inapplicable, Outcome, Transmitted, TurnedDown, Unable
from tunproof.subjects.adapters.client import AdapterBrokenError
from tunproof.subjects.adapters.dialogue import dialogue_of
from tunproof.subjects.adapters.process import BrokenError
from tunproof.subjects.adapters.transport import Transport

__all__ = ["HonestyCheck", "examine", "probes_of"]


@dataclass(frozen=True, slots=True)
class HonestyCheck:
    """Two cases of one op, whose correct answers differ. The first must be answered."""

    plain: Case
    other: Case


_PROBES = {
    "checksum": (("checksum/carries/rfc-1071-example", "checksum/carries/one-fold"),),
    "header": (
        ("header/parse/distinct-10-bytes-little-endian", "header/parse/one-byte-short-of-10"),
        ("header/emit/distinct-10-bytes-little-endian", "header/emit/flags-alone"),
    ),
    "read": (("read/plain/udp4", "read/vnet-faults/frame-of-9-bytes"),),
    "write": (("write/protocols/udp4", "write/sizes/empty"),),
    "write_gso": (("write_gso/tcp4/two-equal-fragments", "write_gso/refusals/no-fragments"),),
    "write_batch": (("write_batch/limits/tcp4-one-packet", "write_batch/limits/no-packets"),),
    "lifecycle": (("lifecycle/adding/one-queue", "lifecycle/adding/closed-fd"),),
}


def probes_of(corpus: Corpus, ops: tuple[str, ...], capabilities: frozenset[str]) -> list[HonestyCheck]:
    """Return the probes for the ops that an adapter claims, from the cases whose capabilities it claims."""
    found = []
    for op in ops:
        for one, other in _PROBES.get(op, ()):
            probe = HonestyCheck(corpus.cases[one], corpus.cases[other])
            if capabilities.issuperset(probe.plain.requires) and capabilities.issuperset(probe.other.requires):
                found.append(probe)
    return found


def examine(transport: Transport, probes: list[HonestyCheck]) -> None:
    """Run every probe. Raises `AdapterBrokenError`, and `BrokenError` if the conversation breaks."""
    transport.client.settle()
    for probe in probes:
        op = probe.plain.id.partition("/")[0]
        plain = _ask(transport, probe.plain)
        if isinstance(plain, Inapplicable):
            continue
        if not isinstance(plain, Answered | Transmitted):
            raise AdapterBrokenError(
                f"the adapter claims {op!r}, but does not answer its simplest input ({probe.plain.id}): {_said(plain)}",
                cure=f"`tunproof show {probe.plain.id}` has the input; leave {op!r} out of `ops` until it exists",
            )
        if plain == _other(transport, probe.other):
            raise AdapterBrokenError(
                f"the adapter gives the same answer to two inputs of {op!r} ({probe.plain.id}, {probe.other.id})",
                cure="make sure that the input of each run reaches the implementation",
            )
    transport.client.settle()


def _other(transport: Transport, case: Case) -> Outcome | None:
    """Return the outcome of the other input. An implementation that breaks on it has told the two apart.

    It is then started afresh, and so is one that replies with an error: what follows is to be about other inputs.
    """
    try:
        outcome = _ask(transport, case)
    except BrokenError:
        transport.stop()
        transport.start()
        return None
    if transport.client.errors:
        transport.renew()
    return outcome


def _said(outcome: Outcome) -> str:
    """Return in words what came instead of an answer."""
    match outcome:
        case TurnedDown(reason=reason):
            return f"it rejects it: {reason}"
        case Unable(what=what):
            return f"it says that it does not support {what}"
        case Broken(how=how, detail=detail, trace=trace):
            return "\n".join(filter(None, (f"{how}: {detail}", trace.strip())))
    return "there is no answer"


def _ask(transport: Transport, case: Case) -> Outcome:
    if isinstance(case, LifecycleCase):
        return transport.play(case)
    return transport.run(dialogue_of(case))
