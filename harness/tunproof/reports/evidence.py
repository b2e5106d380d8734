"""Captures of what was not passed: what was sent, what should have come out and what did, for Wireshark and tshark.

Each is an interface of its own. A vnet header is no part of a packet: it stands in the packet's comment, in words.
"""

import hashlib
import re
from collections.abc import Iterator

from tio.virtio import HEADER_SIZE
from tunproof.corpus.cases import Case
from tunproof.corpus.export import packets_of
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import from_hex
from tunproof.packets.pcapng import Captured, capture
from tunproof.packets.picture import vnet_words
from tunproof.reports.failure import FAULTY, case_of
from tunproof.reports.pairs import pairs, right_ones
from tunproof.runs.results import Result, Results, Run
from tunproof.text import legible

__all__ = ["SUFFIX", "evidence"]

SUFFIX = ".pcapng"

_SENT, _EXPECTED, _GOT = range(3)
_INTERFACES = ("sent", "expected", "got")
_LONGEST_NAME = 180


def evidence(results: Results, corpus: Corpus) -> Iterator[tuple[str, bytes]]:
    """Yield file name and content of a capture for each result that was not passed and has packets to show."""
    for result in results.results.values():
        if result.verdict in FAULTY:
            packets = list(_packets(result, results.run, case_of(result, corpus)))
            if packets:
                yield _file_name(result.id), capture(_INTERFACES, packets)


def _packets(result: Result, run: Run, case: Case | None) -> Iterator[Captured]:
    head = f"{legible(result.id)}\n{result.verdict.value}"
    if case is not None:
        for shown in packets_of(case):
            if shown.goes_in:
                comment = f"{head}\nsent: {shown.what}"
                yield Captured(packet=shown.packet, comment=comment, goes_in=True, interface=_SENT)
    what = result.got.what if result.got else ""
    right, framed = ([], False) if case is None else right_ones(case, run, what)
    wrong = {} if case is None or result.got is None else _wrong(case, run, result)
    said = legible(result.difference).partition("\n")[0]
    for at, one in enumerate(right):
        yield _captured(one, f"{head}\nexpected: {at}, counted from 0, of {len(right)}", _EXPECTED, framed=framed)
    got = from_hex(result.got.packets) if result.got else []
    for at, one in enumerate(got):
        note = f"\nfirst difference: {wrong[one]}" if one in wrong else ""
        comment = f"{head}\ngot: {at}, counted from 0, of {len(got)}{note}\n{said}"
        yield _captured(one, comment, _GOT, framed=what == "frames")


def _wrong(case: Case, run: Run, result: Result) -> dict[bytes, str]:
    """Return what is different, in words, by the packet or frame that came out."""
    found = pairs(case, run, result.got) if result.got else []
    return {pair.got: f"{pair.what}: {pair.place}" for pair in found if pair.got is not None}


def _captured(data: bytes, comment: str, interface: int, *, framed: bool) -> Captured:
    if not framed:
        return Captured(packet=data, comment=comment, goes_in=False, interface=interface)
    comment = f"{comment}\nvnet header: {vnet_words(data)}"
    return Captured(packet=data[HEADER_SIZE:], comment=comment, goes_in=False, interface=interface)


def _file_name(case_id: str) -> str:
    """Return a name that any file system takes; ids that are no case's do not collide."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", case_id.replace("/", "__"))
    if name == case_id.replace("/", "__") and len(name) <= _LONGEST_NAME and not name.startswith("."):
        return name + SUFFIX
    mark = hashlib.sha256(case_id.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{name[:_LONGEST_NAME].lstrip('.')}-{mark}{SUFFIX}"
