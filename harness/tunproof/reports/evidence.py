"""Captures of failed cases for Wireshark and tshark: what was sent, what should have come out, and what did.

Each is an interface of its own. A vnet header is not part of a packet; the packet's comment describes it.
"""

import hashlib
import re
from collections.abc import Iterator

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import Case
from tunproof.corpus.expected import delivered_by, frames_of
from tunproof.corpus.expected import packets_of as expected_packets
from tunproof.corpus.export import packets_in
from tunproof.corpus.load import Corpus
from tunproof.packets.pcapng import Captured, capture
from tunproof.packets.picture import vnet_words
from tunproof.reports.failure import FAULTY, case_of
from tunproof.runs.results import Result, Results, Run
from tunproof.text import legible

__all__ = ["SUFFIX", "evidence"]

SUFFIX = ".pcapng"

_SENT, _EXPECTED, _GOT = range(3)
_INTERFACES = ("sent", "expected", "got")
_LONGEST_NAME = 180


def evidence(results: Results, corpus: Corpus) -> Iterator[tuple[str, bytes]]:
    """Yield file name and content of a capture for each result that did not pass and has packets to show."""
    for result in results.results.values():
        if result.verdict in FAULTY:
            packets = list(_packets(result, results.run, case_of(result, corpus)))
            if packets:
                yield _file_name(result.id), capture(_INTERFACES, packets)


def _packets(result: Result, run: Run, case: Case | None) -> Iterator[Captured]:
    head = f"{legible(result.id)}\n{result.verdict.value}"
    what = result.got.what if result.got else ""
    if case is not None:
        for shown in packets_in(case):
            comment = f"{head}\nsent: {shown.what}"
            yield Captured(packet=shown.packet, comment=comment, goes_in=True, interface=_SENT)
        yield from _expected(case, run, head, what)
    got = result.got.packets if result.got else ()
    wrong = {one.got: f"\nfirst difference: {one.what}: {one.place}" for one in result.mismatches}
    said = legible(result.difference).partition("\n")[0]
    for at, one in enumerate(got):
        comment = f"{head}\ngot: {at}, counted from 0, of {len(got)}{wrong.get(one, '')}\n{said}"
        yield _captured(one, comment, _GOT, framed=what == "frames")


def _expected(case: Case, run: Run, head: str, what: str) -> Iterator[Captured]:
    """Yield what should have come out, of the kind that did (`Got.what`)."""
    frames = frames_of(case) if what != "packets" and run.mode != "kernel" else ()
    right = frames or expected_packets(case)
    if run.mode == "kernel":
        right = delivered_by(case, frozenset(run.traits))
    for at, one in enumerate(right):
        comment = f"{head}\nexpected: {at}, counted from 0, of {len(right)}"
        yield _captured(one, comment, _EXPECTED, framed=bool(frames))


def _captured(data: bytes, comment: str, interface: int, *, framed: bool) -> Captured:
    if not framed:
        return Captured(packet=data, comment=comment, goes_in=False, interface=interface)
    comment = f"{comment}\nvnet header: {vnet_words(data)}"
    return Captured(packet=data[HEADER_SIZE:], comment=comment, goes_in=False, interface=interface)


def _file_name(case_id: str) -> str:
    """Return a name that any file system takes; ids outside the corpus do not collide."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", case_id.replace("/", "__"))
    if name == case_id.replace("/", "__") and len(name) <= _LONGEST_NAME and not name.startswith("."):
        return name + SUFFIX
    mark = hashlib.sha256(case_id.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{name[:_LONGEST_NAME].lstrip('.')}-{mark}{SUFFIX}"
