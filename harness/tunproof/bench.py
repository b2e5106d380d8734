"""Rates side by side with the floor, all from one run: what counts are the ratios.

    bare      writev one prepared superpacket of 3 segments of 1400 bytes, read its segments: nothing else
    replay    the same frame through the code of `tunproof kernel`, every byte compared
    segment   the reference cuts the same frame
    tunnel    a real TCP transfer through the Python tunnel, with offload and without

`bare`, `replay` and `segment` take turns, so that a busy moment of the machine hits them all; each rate is the median
of its rounds.
"""

import os
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import tio
from tunproof import lab
from tunproof.corpus.load import load
from tunproof.errors import EnvironmentProblem
from tunproof.kernel import Question, prepare, replay
from tunproof.lab import Exchange, Pair
from tunproof.tunnel import Tunnel, carry

__all__ = ["CASE", "Rates", "measure"]

CASE = "read/tcp4/ethernet-sized"
"""The case that every rate is measured with: three segments of 1400 bytes."""

_ROUNDS = 41
_TURNS = 800  # a round of some 40 ms for all three
_TUNNEL_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Rates:
    """Turns per second, and Mbit/s of payload for the tunnel."""

    bare_per_s: float
    replay_per_s: float
    segment_per_s: float
    tunnel_gso_mbit_s: float
    tunnel_plain_mbit_s: float

    @property
    def replay_ratio(self) -> float:
        """How much of the floor's rate is left when every byte is compared."""
        return self.replay_per_s / self.bare_per_s

    def as_json(self) -> dict[str, float]:
        """Return all figures by name, rounded."""
        return {name: round(value, 1) for name, value in asdict(self).items()} | {
            "replay_ratio": round(self.replay_ratio, 3)
        }


def measure(*, progress: Callable[[int, int, str], None] = lambda *_: None) -> Rates:
    """Measure everything, in some seconds. `progress` is told what comes next. Raises `EnvironmentProblem`."""
    questions, _ = prepare([load().cases[CASE]], frozenset())
    (question,) = questions
    progress(0, 3, "bare, replay, segment")
    with lab.redirect() as pair:
        bare, replayed, cut = _interleaved(pair, question)
    progress(1, 3, "tunnel with offload")
    gso = _tunnel(offload=True)
    progress(2, 3, "tunnel without offload")
    return Rates(bare, replayed, cut, gso, _tunnel(offload=False))


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


def _tunnel(*, offload: bool) -> float:
    with Tunnel(offload=offload) as tunnel:
        carried = carry(tunnel.near, tunnel.far, os.urandom(_TUNNEL_BYTES), family=socket.AF_INET)
    if not carried.intact:
        raise EnvironmentProblem(
            f"{carried.size} bytes went into the tunnel and others came out", cure="run `make test`; this is a bug"
        )
    return carried.mbit_s
