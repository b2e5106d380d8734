"""What fuzzing adds to `tunproof bench`: how fast the kernel differential is, and how fast it could be.

differential    the same frames to kernel and model, each compared; alternates with `bare`, so both see the same
                state of the machine
scaling         how much faster two processes are than one, over how much faster they are at a loop that uses
                nothing but the processor: 1.0 is the best that the cores allow
naive           the loop as one would first write it: scapy builds, sniffs, dissects and compares
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from scapy.all import IP, TCP, AsyncSniffer, Raw, raw

import tio
from tio.wire import IPv4Layout, TcpLayout
from tunfuzz.campaign.request import SHARD
from tunfuzz.differential.experiment import experiment
from tunfuzz.differential.kernel import Differential, corpus_frames
from tunfuzz.shard import Shard
from tunproof import lab
from tunproof.cli.bench import Figure, bare_rate
from tunproof.errors import EnvironmentProblem
from tunproof.lab import Pair
from tunproof.lab.wiring import OUT

__all__ = ["measure"]

_ROUNDS = 5
_FLOORS = 20  # a round of the floor takes 4 ms, a shard some seconds
_WORKERS = 2
_SCALINGS = 5
_ASKED = 80_000  # frames, about 3 s of one worker
_SPINS = 30_000_000  # the same
_NAIVE = 30


def measure(*, progress: Callable[[int, int, str], None] = lambda *_: None) -> list[Figure]:
    """Return cases per second, and ratios. Raises `EnvironmentProblem`."""
    progress(0, 3, "differential")
    runner = experiment().runner
    assert isinstance(runner, Differential)  # noqa: S101 (for the type checker)
    with tempfile.TemporaryDirectory() as folder, lab.redirect() as pair:
        differential, ratio = _interleaved(pair, runner, Path(folder))
        progress(1, 3, "two workers")
        scaling, plain = _scaling(runner, Path(folder))
        progress(2, 3, "naive")
        naive = _naive_rate(pair)
    return [
        Figure("differential_per_s", differential, "frames/s to kernel and model, compared"),
        Figure("differential_ratio", ratio, "of bare, in turns with it"),
        Figure("two_workers_ratio", scaling, "times the rate of one worker with two"),
        Figure("two_plain_loops_ratio", plain, "the same for a loop that only uses the processor"),
        Figure("scaling_ratio", scaling / plain, "of that is what two workers reach"),
        Figure("naive_per_s", naive, "superpackets/s where scapy builds, sniffs, dissects and compares"),
    ]


def _interleaved(pair: Pair, runner: Differential, folder: Path) -> tuple[float, float]:
    """Return the median rate of the differential, and the median of its ratios to the floor just before and after."""
    corpus_frames()
    rates, ratios = [], []
    for number in range(_ROUNDS):
        bare = [bare_rate(pair) for _ in range(_FLOORS)]
        rates.append(_asked_rate(runner, number * SHARD, SHARD, folder))
        bare += [bare_rate(pair) for _ in range(_FLOORS)]
        ratios.append(rates[-1] / statistics.median(bare))
    return statistics.median(rates), statistics.median(ratios)


def _asked_rate(runner: Differential, first: int, count: int, folder: Path) -> float:
    started = time.perf_counter()
    tally = runner(Shard(seed=1, first=first, count=count), folder)
    if tally.differences:
        raise EnvironmentProblem(
            f"kernel and model differ in {tally.differences} cases", cure="run `tunproof fuzz kernel --seed 1`"
        )
    return count / (time.perf_counter() - started)


# Two workers ---------------------------------------------------------------------------------------------------------


def _scaling(runner: Differential, folder: Path) -> tuple[float, float]:
    """Return how many times faster two processes are than one: at the differential, and at a plain loop."""
    asked, plain = [], []
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(_warm, [runner] * _WORKERS, [folder] * _WORKERS))
        for _ in range(_SCALINGS):
            asked.append(_times(lambda count: list(pool.map(_ask, *_shards(runner, count, folder)))))
            plain.append(_times(lambda count: list(pool.map(_spin, [_SPINS] * count))))
    return statistics.median(asked), statistics.median(plain)


def _shards(runner: Differential, count: int, folder: Path) -> tuple[list[Differential], list[int], list[Path]]:
    return [runner] * count, [number * _ASKED for number in range(count)], [folder] * count


def _times(work: Callable[[int], object]) -> float:
    """Return the work done in a second by two workers over that by one."""
    started = time.perf_counter()
    work(1)
    alone = time.perf_counter() - started
    started = time.perf_counter()
    work(_WORKERS)
    return _WORKERS * alone / (time.perf_counter() - started)


def _ask(runner: Differential, first: int, folder: Path) -> None:
    runner(Shard(seed=1, first=first, count=_ASKED), folder)


def _warm(runner: Differential, folder: Path) -> None:
    """Make a worker load everything, and make labs once."""
    runner(Shard(seed=1, first=0, count=5000), folder)


def _spin(turns: int) -> int:
    total = 0
    for number in range(turns):
        total += number & 3
    return total


# The loop as one would first write it --------------------------------------------------------------------------------


def _naive_rate(pair: Pair) -> float:
    started = time.perf_counter()
    for number in range(_NAIVE):
        pair.ground.run(_naive, pair, number)
    return _NAIVE / (time.perf_counter() - started)


def _naive(pair: Pair, number: int) -> None:
    """Build a superpacket, capture its segments, dissect them, and compare."""
    header = IP(src="192.0.2.1", dst="198.51.100.2", id=number) / TCP(sport=1, dport=2, seq=1, flags="A")
    payload = bytes(range(24))
    packet = raw(header / Raw(payload))
    start, offset = IPv4Layout.size, TcpLayout.CHECKSUM.offset
    partial = tio.pseudo_header_sum(packet[IPv4Layout.ADDRESSES], 6, len(packet) - start)
    packet = packet[: start + offset] + partial.to_bytes(2, "big") + packet[start + offset + 2 :]
    frame = tio.VnetHeader(1, tio.GsoType.TCPV4, len(header), 8, start, offset).emit() + packet
    sniffer = AsyncSniffer(iface=OUT, count=3, started_callback=lambda: _write(pair, frame))
    sniffer.start()
    sniffer.join(timeout=5)
    captured = [IP(raw(one)) for one in sniffer.results]
    if [bytes(one[TCP].payload) for one in captured] != [payload[at : at + 8] for at in (0, 8, 16)]:
        raise EnvironmentProblem("scapy did not capture the three segments", cure="run `tunproof doctor`")


def _write(pair: Pair, frame: bytes) -> None:
    lab.Exchange(pair).send(frame, 3)
