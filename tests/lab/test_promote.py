"""Code made from findings is recorded with the running kernel, the reference and scapy, as `corpus build` does."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import TCP, UDP

from tio.linux import Delivered, KernelOutcome, Refused
from tunproof import lab
from tunproof.authoring.draft import Draft
from tunproof.authoring.lint import CASE_RULES, Looked
from tunproof.authoring.promote import promote
from tunproof.authoring.record import DisagreementError, Recorder
from tunproof.corpus.cases import Case, GsoInput
from tunproof.corpus.codec import builtins_of
from tunproof.corpus.load import Corpus, load
from tunproof.kernel.probes import running_traits
from tunproof.lab import Exchange
from tunproof.packets.builder import GsoPieces, frame, ip4, ip6, patched, payload, pieces, plain, superpacket
from tunproof.runs.findings import Finding, keep
from tunproof.runs.findings import load as load_finding
from tunproof.subjects.reference import Reference
from tunproof.subjects.subject import TurnedDownError

pytestmark = pytest.mark.lab

TCP4 = superpacket(ip4() / TCP(flags="PA"), payload(20), gso_size=8)
UDP6 = superpacket(ip6() / UDP(), payload(20), gso_size=8)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with lab.redirect() as pair, Reference() as reference:
        exchange = Exchange(pair)
        yield Recorder(exchange, running_traits(), reference)


def as_json(outcome: KernelOutcome) -> dict[str, object]:
    match outcome:
        case Refused(errno=number):
            return {"outcome": "refused", "errno": errno.errorcode[number]}
        case Delivered(packets=packets):
            return {"outcome": "delivered", "packets": [packet.hex() for packet in packets]}
    return {"outcome": "lost"}


def finding_of(operation: str, given: dict[str, object], got: dict[str, object]) -> Finding:
    return Finding(
        kind="kernel",
        title="What the model says of this frame is not what the kernel does",
        rule="2.4 csum_start",
        operation=operation,
        input=given,
        expected={"outcome": "lost"},
        got=got,
        flags=("ChecksumOffset",),
        kernel="6.0",
        repro="tunproof fuzz kernel",
    )


def recorded(finding: Finding, out: Path, recorder: Recorder, corpus: Corpus) -> Case:
    """Keep a finding, promote it, load the code, and record its case."""
    promoted = promote(load_finding(keep(out, finding)), corpus)
    module: dict[str, object] = {}
    exec(promoted.code, module)  # noqa: S102 (it is what is tested)
    (draft,) = [draft for topic in module["TOPICS"] for draft in topic.drafts]  # type: ignore[attr-defined]
    assert isinstance(draft, Draft)
    assert draft.id == promoted.id
    assert draft.id not in corpus.cases
    return recorder.record(draft)


def complaints(case: Case, corpus: Corpus) -> list[tuple[str, str]]:
    looked = Looked(Path(), {}, corpus.cases | {case.id: case}, whole=True, ours=False)
    return [complaint for rule in CASE_RULES for complaint in rule(case, looked)]


@pytest.mark.parametrize(
    "built",
    [
        pytest.param(TCP4, id="both cut it"),
        pytest.param(UDP6, id="UDP"),
        pytest.param(plain(ip4() / UDP(), payload(9)), id="a partial checksum"),
        pytest.param(patched(TCP4, 4, b"\0\0"), id="both turn it down"),
        pytest.param(patched(TCP4, 26, b"\x12\x34"), id="a partial that is wrong"),
        pytest.param(superpacket(ip4() / UDP(), payload(40), gso_size=24, gso_type=3), id="the kernel alone takes it"),
        pytest.param(frame(b"\x60" + bytes(range(60))), id="next to nothing"),
        pytest.param(b"\x01\x02", id="no vnet header"),
        pytest.param(patched(UDP6, 6, b"\x04\0"), id="csum_start in the IP header"),
    ],
)
def test_a_frame_is_recorded(built: bytes, tmp_path: Path, recorder: Recorder, corpus: Corpus) -> None:
    got = as_json(recorder.exchange.send(built, 0))
    case = recorded(finding_of("read", {"frame": built.hex()}, got), tmp_path, recorder, corpus)
    assert case.input.frame == built  # type: ignore[union-attr]
    assert complaints(case, corpus) == []


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(pieces(ip4() / TCP(flags="A"), [payload(8), payload(8, seed=56), payload(3)]), id="TCP"),
        pytest.param(pieces(ip6() / UDP(), [payload(16), payload(9)]), id="UDP"),
        pytest.param(pieces(ip4() / UDP(), [payload(16)]), id="one datagram"),
        pytest.param(pieces(ip4(len=20) / TCP(), [payload(8), payload(8)]), id="turned down"),
    ],
)
def test_a_write_gso_is_recorded(made: GsoPieces, tmp_path: Path, recorder: Recorder, corpus: Corpus) -> None:
    pays = tuple(made.pays)
    given = {"hdr": made.hdr, "transport_hdr": made.transport_hdr, "pays": pays}
    try:
        (written,) = recorder.reference.write_gso(GsoInput(**given), ())
        got = as_json(recorder.exchange.send(written, 0))
    except TurnedDownError:
        got = {"outcome": "lost"}
    case = recorded(finding_of("write_gso", builtins_of(given), got), tmp_path, recorder, corpus)
    assert (case.input.hdr, case.input.pays) == (given["hdr"], pays)  # type: ignore[union-attr]
    assert complaints(case, corpus) == []


def test_a_kernel_that_did_something_else_is_not_recorded(tmp_path: Path, recorder: Recorder, corpus: Corpus) -> None:
    finding = finding_of("read", {"frame": TCP4.hex()}, {"outcome": "lost"})  # this kernel segments it
    with pytest.raises(DisagreementError, match="says that kernel and reference differ, but they agree"):
        recorded(finding, tmp_path, recorder, corpus)
