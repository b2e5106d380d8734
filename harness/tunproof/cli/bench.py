"""Rates side by side with the floor, all from one run: what counts are the ratios.

    bare      writev one prepared superpacket of 3 segments of 1400 bytes, read its segments: nothing else
    replay    the same frame through the code of `tunproof kernel`, every byte compared
    segment   the reference cuts the same frame
    check     the reference through the code of `tunproof check`, as a ratio over calling it and comparing what comes
              back; and small cases through an adapter made with the Python kit, judged, one by one and in batches
    tunnel    a real TCP transfer through the Python tunnel, with offload and without

`bare`, `replay` and `segment` take turns, and so do both sides of the ratio of `check`, so that a busy moment of the
machine hits them all; each rate is the median of its rounds.
"""

import os
import socket
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tio
from tio.virtio import HEADER_SIZE
from tunproof import lab
from tunproof.corpus.cases import (
    Case,
    Fields,
    HeaderBytes,
    Joined,
    LifecycleCase,
    Nothing,
    Packets,
    Refused,
    Rejected,
    Sum,
    Written,
)
from tunproof.corpus.load import Corpus, load_for_good
from tunproof.errors import EnvironmentProblem
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, TurnedDown
from tunproof.judge.verdict import Kind
from tunproof.kernel.replay import Question, prepare, replay
from tunproof.lab import Exchange, Pair
from tunproof.protocol.kits import adapter as kit
from tunproof.runs import runner
from tunproof.runs.results import Results
from tunproof.runs.runner import Plan
from tunproof.subjects.adapters.adapter import Adapter
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.asker import Direct, ask
from tunproof.subjects.reference import Reference
from tunproof.testing.tunnel import Tunnel, carry

__all__ = ["CASE", "Figure", "Rates", "bare_rate", "measure"]

CASE = "read/tcp4/ethernet-sized"
"""The case that every rate is measured with: three segments of 1400 bytes."""

_ROUNDS = 41
_TURNS = 800  # a round of some 40 ms for all three
_TUNNEL_BYTES = 32 << 20
_CHECKS = 5
_SMALL = 400  # hex digits
_SMALL_CASES = 20_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One more rate, or ratio, from another package (entry points `tunproof.benchmarks`), and what it is."""

    name: str
    value: float
    says: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Turns per second, and Mbit/s of payload for the tunnel."""

    bare_per_s: float
    replay_per_s: float
    segment_per_s: float
    check_direct_ratio: float
    check_lockstep_per_s: float
    check_batch_per_s: float
    tunnel_gso_mbit_s: float
    tunnel_plain_mbit_s: float

    @property
    def replay_ratio(self) -> float:
        """How much of the floor's rate is left when every byte is compared."""
        return self.replay_per_s / self.bare_per_s

    def as_json(self) -> dict[str, float]:
        """Return all figures by name, rounded."""
        return {name: round(value, 3 if name.endswith("ratio") else 1) for name, value in asdict(self).items()} | {
            "replay_ratio": round(self.replay_ratio, 3)
        }


def measure(*, progress: Callable[[int, int, str], None] = lambda *_: None) -> Rates:
    """Measure everything, in some seconds. `progress` is told what comes next. Raises `EnvironmentProblem`."""
    corpus = load_for_good()
    questions, _ = prepare([corpus.cases[CASE]], frozenset())
    (question,) = questions
    progress(0, 4, "bare, replay, segment")
    with lab.redirect() as pair:
        bare, replayed, cut = _interleaved(pair, question)
    progress(1, 4, "check")
    direct = _check_ratio(corpus)
    lockstep, batched = _adapter_rate(corpus, batch=1), _adapter_rate(corpus, batch=None)
    progress(2, 4, "tunnel with offload")
    gso = _tunnel(offload=True)
    progress(3, 4, "tunnel without offload")
    return Rates(bare, replayed, cut, direct, lockstep, batched, gso, _tunnel(offload=False))


def _interleaved(pair: Pair, question: Question) -> list[float]:
    """Return the median rates of the floor, of `replay` and of the reference's cut, measured in turns."""
    exchange = Exchange(pair)
    many = [question] * _TURNS
    contestants = (lambda: _bare(pair, question), lambda: _replay(exchange, many), lambda: _cut(question.frame))
    rounds = [[_rate(work) for work in contestants] for _ in range(_ROUNDS)]
    return [statistics.median(rates) for rates in zip(*rounds, strict=True)]


def _rate(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return _TURNS / (time.perf_counter() - started)


def bare_rate(pair: Pair) -> float:
    """Return how many superpackets of three segments a second a `redirect` lab carries if nobody does more."""
    (question,), _ = prepare([load_for_good().cases[CASE]], frozenset())
    return _rate(lambda: _bare(pair, question))


def _bare(pair: Pair, question: Question) -> None:
    """Do what no loop in Python can do without: one writev and a readv for each segment."""
    writev, readv = os.writev, os.readv
    writer, reader = pair.writer, pair.reader
    frame, buffer = (question.frame,), (bytearray(1 << 16),)
    for _ in range(_TURNS):
        writev(writer, frame)
        readv(reader, buffer)
        readv(reader, buffer)
        readv(reader, buffer)


def _replay(exchange: Exchange, questions: list[Question]) -> None:
    for disagreement in replay(exchange, questions):
        raise EnvironmentProblem(
            f"the kernel got {disagreement.case.id} wrong: {disagreement.explain()}",
            cure="run `tunproof kernel`; a rate of wrong answers says nothing",
        )


def _cut(frame: bytes) -> None:
    segment, order = tio.segment, tio.ByteOrder.LITTLE
    for _ in range(_TURNS):
        segment(frame, byte_order=order)


def _check_ratio(corpus: Corpus) -> float:
    """Return how much longer a checked run takes than plain calls, for all cases in which nothing waits."""
    cases = [case for case in corpus.cases.values() if not isinstance(case, LifecycleCase)]
    ratios = []
    with Direct(Reference()) as asker, Reference() as reference:
        heading = runner.heading(asker, corpus, Plan(cases=cases), ())
        for _ in range(_CHECKS):
            checked = _seconds(lambda: runner.perform(Plan(cases=cases, exact=True), asker, Results(heading)))
            ratios.append(checked / _seconds(lambda: _call_all(cases, reference)))
    return statistics.median(ratios)


_SAME: dict[type, Callable[[Any, Any], bool]] = {
    Sum: lambda got, right: got == right.sum,
    Fields: lambda got, right: got == right.fields,
    HeaderBytes: lambda got, right: got.hex() == right.bytes,
    Packets: lambda got, right: tuple(packet.hex() for packet in got) == right.packets,
    Written: lambda got, right: len(got) == 1 and got[0][:HEADER_SIZE].hex() == right.header,
    Nothing: lambda got, _: not got,
    Joined: lambda got, right: tuple(frame.hex() for frame in got) == right.example,
}


def _call_all(cases: Sequence[Case], reference: Reference) -> None:
    """Call the reference and compare, as anybody would without a judge."""
    for case in cases:
        outcome, right = ask(case, reference), case.expect
        if isinstance(outcome, Answered):
            same = _SAME[type(right)](outcome.value, right)
        else:
            same = isinstance(outcome, TurnedDown) and isinstance(right, Rejected | Refused)
        if not same:
            raise AssertionError(f"the reference got {case.id} wrong")


def _adapter_rate(corpus: Corpus, *, batch: int | None) -> float:
    """Return how many small cases a second an adapter answers, each judged."""
    small = [case for case in corpus.select("checksum/*") if len(case.input.data) < _SMALL]  # type: ignore[union-attr]
    cases = small * (_SMALL_CASES // len(small))
    command = (sys.executable, kit.__file__)
    with Adapter(command, corpus, mode="memory", limits=Limits(), batch=batch) as adapter:
        started = time.perf_counter()
        for asked in adapter.ask(cases):
            if decide(asked.case, asked.outcome).kind is not Kind.PASS:
                raise EnvironmentProblem(f"the kit got {asked.case.id} wrong", cure="run `make test`; this is a bug")
        return len(cases) / (time.perf_counter() - started)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _tunnel(*, offload: bool) -> float:
    with Tunnel(offload=offload) as tunnel:
        carried = carry(tunnel.near, tunnel.far, os.urandom(_TUNNEL_BYTES), family=socket.AF_INET)
    if not carried.intact:
        raise EnvironmentProblem(
            f"{carried.size} bytes went into the tunnel and others came out", cure="run `make test`; this is a bug"
        )
    return carried.mbit_s
