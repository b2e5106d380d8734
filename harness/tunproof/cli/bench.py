"""Rates and the floor that they are compared with, all from one run: it is the ratios that count.

    bare      writev one prepared superpacket of 3 segments of 1400 bytes, and read its segments: the floor
    replay    the same frame through the code of `tunproof kernel`, every byte compared
    segment   the reference segments the same frame
    check     the reference through the code of `tunproof check`, relative to calling it directly and comparing the
              results; and small cases through an adapter made with the Python kit, judged, one by one and in batches
    tunnel    a real TCP transfer through the Python tunnel, with and without offload

`bare`, `replay` and `segment` take turns, and so do both sides of the `check` ratio, so a busy moment of the machine
affects them all; each rate is the median of its rounds.
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
    MustRefuse,
    MustReject,
    Nothing,
    Packets,
    Sum,
    Written,
)
from tunproof.corpus.load import Corpus, load_for_good
from tunproof.errors import EnvironmentProblem
from tunproof.judge import kernel as judge_kernel
from tunproof.judge.decide import decide
from tunproof.judge.outcome import Answered, TurnedDown
from tunproof.judge.verdict import Kind
from tunproof.kernel.replay import Trial, prepare, replay
from tunproof.lab import Exchange, Pair
from tunproof.protocol.kits import adapter as kit
from tunproof.runs import runner
from tunproof.runs.results import Results
from tunproof.runs.runner import Plan
from tunproof.subjects.adapters.adapter import Adapter
from tunproof.subjects.adapters.process import Limits
from tunproof.subjects.connection import Direct, observe
from tunproof.subjects.reference import Reference
from tunproof.testing.tunnel import Tunnel, carry

__all__ = ["CASE", "Figure", "Rates", "bare_rate", "measure"]

CASE = "read/tcp4/ethernet-sized"
"""The case that all rates are measured with: three segments of 1400 bytes."""

_ROUNDS = 41
_TURNS = 800  # a round of some 40 ms for all three
_TUNNEL_BYTES = 32 << 20
_CHECKS = 5
_SMALL = 200  # bytes
_SMALL_CASES = 20_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate or ratio from another package (entry points `tunproof.benchmarks`), and what it means."""

    name: str
    value: float
    says: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Rounds per second; for the tunnel, Mbit/s of payload."""

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
        """The fraction of the floor's rate that remains when every byte is compared."""
        return self.replay_per_s / self.bare_per_s

    def as_json(self) -> dict[str, float]:
        """Return all figures by name, rounded."""
        return {name: round(value, 3 if name.endswith("ratio") else 1) for name, value in asdict(self).items()} | {
            "replay_ratio": round(self.replay_ratio, 3)
        }


def measure(*, progress: Callable[[int, int, str], None] = lambda *_: None) -> Rates:
    """Measure everything; takes seconds. `progress` is called with what comes next. Raises `EnvironmentProblem`."""
    corpus = load_for_good()
    trials, _ = prepare([corpus.cases[CASE]], frozenset())
    (trial,) = trials
    progress(0, 4, "bare, replay, segment")
    with lab.redirect() as pair:
        bare, replayed, cut = _interleaved(pair, trial)
    progress(1, 4, "check")
    direct = _check_ratio(corpus)
    lockstep, batched = _adapter_rate(corpus, batch=1), _adapter_rate(corpus, batch=None)
    progress(2, 4, "tunnel with offload")
    gso = _tunnel(offload=True)
    progress(3, 4, "tunnel without offload")
    return Rates(bare, replayed, cut, direct, lockstep, batched, gso, _tunnel(offload=False))


def _interleaved(pair: Pair, trial: Trial) -> list[float]:
    """Return the median rates of the floor, of `replay` and of the reference's segmentation, measured in turns."""
    exchange = Exchange(pair)
    many = [trial] * _TURNS
    contestants = (lambda: _bare(pair, trial), lambda: _replay(exchange, many), lambda: _cut(trial.frame))
    rounds = [[_rate(work) for work in contestants] for _ in range(_ROUNDS)]
    return [statistics.median(rates) for rates in zip(*rounds, strict=True)]


def _rate(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return _TURNS / (time.perf_counter() - started)


def bare_rate(pair: Pair) -> float:
    """Return how many superpackets of three segments a second a `redirect` lab carries with nothing else to do."""
    (trial,), _ = prepare([load_for_good().cases[CASE]], frozenset())
    return _rate(lambda: _bare(pair, trial))


def _bare(pair: Pair, trial: Trial) -> None:
    """Do the minimum for a loop in Python: one writev, and one readv per segment."""
    writev, readv = os.writev, os.readv
    writer, reader = pair.writer, pair.reader
    frame, buffer = (trial.frame,), (bytearray(1 << 16),)
    for _ in range(_TURNS):
        writev(writer, frame)
        readv(reader, buffer)
        readv(reader, buffer)
        readv(reader, buffer)


def _replay(exchange: Exchange, trials: list[Trial]) -> None:
    for disagreement in replay(exchange, trials):
        verdict = judge_kernel.decide(disagreement.expected, disagreement.got)
        raise EnvironmentProblem(
            f"the kernel got {disagreement.case.id} wrong: {verdict.difference}",
            cure="run `tunproof kernel`; the rate of wrong results is meaningless",
        )


def _cut(frame: bytes) -> None:
    segment, order = tio.segment, tio.ByteOrder.LITTLE
    for _ in range(_TURNS):
        segment(frame, byte_order=order)


def _check_ratio(corpus: Corpus) -> float:
    """Return how much longer a checked run takes than plain calls, for all cases that do not block."""
    cases = [case for case in corpus.cases.values() if not isinstance(case, LifecycleCase)]
    ratios = []
    with Direct(Reference()) as connection, Reference() as reference:
        heading = runner.heading(connection, corpus, Plan(cases=cases), ())
        for _ in range(_CHECKS):
            checked = _seconds(lambda: runner.perform(Plan(cases=cases, exact=True), connection, Results(heading)))
            ratios.append(checked / _seconds(lambda: _call_all(cases, reference)))
    return statistics.median(ratios)


_SAME: dict[type, Callable[[Any, Any], bool]] = {
    Sum: lambda got, right: got == right.sum,
    Fields: lambda got, right: got == right.fields,
    HeaderBytes: lambda got, right: got == right.bytes,
    Packets: lambda got, right: tuple(got) == right.packets,
    Written: lambda got, right: len(got) == 1 and got[0][:HEADER_SIZE] == right.header,
    Nothing: lambda got, _: not got,
    Joined: lambda got, right: tuple(got) == right.example,
}


def _call_all(cases: Sequence[Case], reference: Reference) -> None:
    """Call the reference and compare, the simple way, without a judge."""
    for case in cases:
        outcome, right = observe(case, reference), case.expect
        if isinstance(outcome, Answered):
            same = _SAME[type(right)](outcome.value, right)
        else:
            same = isinstance(outcome, TurnedDown) and isinstance(right, MustReject | MustRefuse)
        if not same:
            raise AssertionError(f"the reference got {case.id} wrong")


def _adapter_rate(corpus: Corpus, *, batch: int | None) -> float:
    """Return how many small cases per second an adapter answers, each judged."""
    small = [case for case in corpus.select("checksum/*") if len(case.input.data) < _SMALL]  # type: ignore[union-attr]
    cases = small * (_SMALL_CASES // len(small))
    command = (sys.executable, kit.__file__)
    with Adapter(command, corpus, mode="memory", limits=Limits(), batch=batch) as adapter:
        started = time.perf_counter()
        for observed in adapter.observe(cases):
            if decide(observed.case, observed.outcome).kind is not Kind.PASS:
                raise EnvironmentProblem(f"the kit got {observed.case.id} wrong", cure="run `make test`; this is a bug")
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
            f"{carried.size} bytes went into the tunnel, and different ones came out",
            cure="run `make test`; this is a bug",
        )
    return carried.mbit_s
