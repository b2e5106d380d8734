"""The kernel differential: random frames go to the running kernel and to the model of it, and any difference is kept.

`Run.block` is the hot path: it predicts, sends, compares and counts, and calls nothing else. Every shard
has its own labs. After a difference all labs are remade, so that no frame can affect those after it.
"""

import functools
import itertools
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tio.linux import RULES, Delivered, KernelOutcome, Lost, Model, NotModelled, Refused, Traits, Way
from tunfuzz.differential import report
from tunfuzz.differential.cases import BLOCK, WAYS, block, way_of, within
from tunfuzz.differential.masks import NOT_MODELLED, hidden_by
from tunfuzz.differential.minimise import minimise
from tunfuzz.differential.report import Difference
from tunfuzz.shard import Shard, Tally
from tunproof import lab
from tunproof.corpus.load import load_for_good
from tunproof.errors import EnvironmentProblem
from tunproof.kernel.replay import frames_of
from tunproof.lab import KernelDevice, RunningKernel
from tunproof.runs.findings import in_folder

__all__ = ["Differential", "Predicted", "Run", "corpus_frames", "look", "rules_on_the_ways"]

_KEPT_A_RULE = 3
"""Findings of one rule that a shard keeps: one bug differs in thousands of frames."""

_AT_ONCE = 100
"""Frames that are predicted before they are sent: few enough that huge ones need little memory."""

Predicted = tuple[int, bytes, KernelOutcome, list[str]]
"""A case's number, its frame, its predicted outcome, and the rules that it meets."""

_LONGEST = 2000  # bytes
_MOST_PACKETS = 6

_NAMES: dict[type, str] = {Delivered: "delivered", Refused: "refused", Lost: "lost"}


def rules_on_the_ways(traits: Traits) -> list[str]:
    """Return the names of the rules that a kernel with these traits has on the paths that a campaign takes."""
    ways = [within(traits, way) for way in WAYS]
    return [rule.name for rule in RULES.values() if rule.is_in(traits) and any(map(rule.on, ways))]


@functools.cache
def corpus_frames() -> list[bytes]:
    """Return the frames that mutations begin with: the corpus's cheap ones, with vnet headers of 10 bytes."""
    asked = (one for case in load_for_good().cases.values() for one in frames_of(case))
    return [frame for frame, packets in asked if len(frame) <= _LONGEST and len(packets) <= _MOST_PACKETS]


@dataclass(frozen=True)
class Differential:
    """Runs the cases of shards against a kernel with these traits: a `tunfuzz.shard.ShardRunner`.

    `kernel` is the release that was probed for them; a worker that runs another one cannot take part.
    """

    traits: Traits
    kernel: str

    def __call__(self, shard: Shard, out: Path) -> Tally:
        """Return the tally of a shard. Raises `EnvironmentProblem` if the kernel cannot be used."""
        started = time.perf_counter()
        if os.uname().release != self.kernel:
            what = f"this worker runs Linux {os.uname().release}, and the traits are those of {self.kernel}"
            raise EnvironmentProblem(what, cure="use workers with the client's kernel, or a campaign for each")
        lab.ensure()
        with RunningKernel() as kernel:
            run = Run(self, kernel, shard, out)
            for number in range(shard.first // BLOCK, -(-(shard.first + shard.count) // BLOCK)):
                run.block(number)
            return run.tally(time.perf_counter() - started)


class Run:
    """One shard at work."""

    def __init__(self, differential: Differential, kernel: KernelDevice, shard: Shard, out: Path) -> None:
        self._traits = differential.traits
        self._release = differential.kernel
        self._corpus = corpus_frames()
        self.kernel = kernel
        self._shard = shard
        self._out = out
        self._models: dict[Way, Model] = {}
        self._trails: dict[tuple[str, ...], int] = defaultdict(int)
        self._shapes: Counter[str] = Counter()
        self._outcomes: Counter[type] = Counter()
        self._masks: Counter[str] = Counter()
        self._differences: Counter[str] = Counter()
        self._findings: list[str] = []

    def block(self, number: int) -> None:
        """Run the cases of a block that belong to the shard, some at a time: first the model, then the kernel.

        Alternating frame by frame takes a tenth longer: each evicts the other from the processor's caches.
        """
        way = within(self._traits, way_of(number))
        predicted = self._predicted(number, self._model(way))
        while some := list(itertools.islice(predicted, _AT_ONCE)):
            self.put(some, way)

    def put(self, some: list[Predicted], way: Way) -> None:
        """Send some cases to the kernel, one after the other."""
        send = self.kernel.sender(way)
        for one in some:
            prediction = one[2]
            try:
                got = send(one[1], len(prediction.packets) if type(prediction) is Delivered else 0)
            except EnvironmentProblem as problem:
                self.differs(one, way, problem.what)
                send = self.kernel.sender(way)
                continue
            if not self.agrees(one, way, got):
                send = self.kernel.sender(way)

    def agrees(self, one: Predicted, way: Way, got: KernelOutcome) -> bool:
        """Count a case's outcome. Return whether it was predicted; if not, it is kept, and labs are remade."""
        _, _, prediction, trail = one
        self._outcomes[type(got)] += 1
        if type(got) is Delivered and type(prediction) is Delivered:
            differs = got.packets != prediction.packets  # the same as `!=` of the two, in half the time
        else:
            differs = got != prediction
        if not differs:
            return True
        mask = hidden_by(prediction, got, trail=trail, header_size=_reader_header(way))
        if mask is not None:
            self._masks[mask] += 1
            return True
        self.differs(one, way, got)
        return False

    def _predicted(self, number: int, model: Model) -> Iterator[Predicted]:
        """Yield the cases of a block that belong to the shard and that the model predicts."""
        first, last = self._shard.first, self._shard.first + self._shard.count
        for case, (frame, shape) in enumerate(block(self._shard.seed, number, self._corpus), number * BLOCK):
            if not first <= case < last:
                continue
            self._shapes[shape] += 1
            try:
                predicted, trail = model.explain(frame)
            except NotModelled as because:
                self._masks[f"{NOT_MODELLED}: {because}"] += 1
                continue
            self._trails[tuple(trail)] += 1
            yield case, frame, predicted, trail

    def tally(self, seconds: float) -> Tally:
        """Return what was counted."""
        rules: Counter[str] = Counter()
        for trail, count in self._trails.items():
            rules.update(dict.fromkeys(trail, count))
        return Tally(
            cases=self._shapes.total(),
            seconds=seconds,
            outcomes={_NAMES[kind]: count for kind, count in self._outcomes.items()},
            shapes=dict(self._shapes),
            rules=dict(rules),
            masks=dict(self._masks),
            differences=self._differences.total(),
            findings=self._findings,
        )

    def _model(self, way: Way) -> Model:
        if way not in self._models:
            self._models[way] = Model(self._traits, way)
        return self._models[way]

    # Differences -----------------------------------------------------------------------------------------------------

    def differs(self, one: Predicted, way: Way, got: KernelOutcome | str) -> None:
        """Count a difference; keep it, minimised, unless enough are kept of its rule."""
        case, frame, prediction, trail = one
        difference = Difference(frame=frame, way=way, predicted=prediction, trail=trail, got=got)
        self._differences[difference.rule] += 1
        if self._differences[difference.rule] <= _KEPT_A_RULE:
            self.kernel.close()
            self._keep_smallest(difference, case)
            self.kernel.close()

    def _keep_smallest(self, difference: Difference, case: int) -> None:
        # First as it was met: minimising must not lose it.
        there = set(in_folder(self._out))
        folder = self._keep(difference, case)
        kept = self._keep(self._smallest(difference), case, instead_of=None if folder in there else folder)
        if kept.name not in self._findings:
            self._findings.append(kept.name)

    def _keep(self, difference: Difference, case: int, *, instead_of: Path | None = None) -> Path:
        met = report.Met(
            kernel=self._release, traits=self._traits, seed=self._shard.seed, number=case, again=self.again(case)
        )
        return report.keep(difference, self._out, met, instead_of=instead_of)

    def again(self, case: int) -> str:
        """Return the command that repeats a case; "" if its frame alone suffices."""
        return ""

    def _smallest(self, difference: Difference) -> Difference:
        """Return the difference with the smallest frame that still differs in the same way, in fresh labs."""
        rule = difference.rule
        if self._look(difference.frame, difference.way).rule != rule:
            since = f"the cases before it (seed {self._shard.seed}, from case {self._shard.first})"
            return replace(difference, details=f"In a fresh lab the frame alone does not differ: see {since}.")
        frame = minimise(difference.frame, lambda shorter: self._look(shorter, difference.way).rule == rule)
        smallest = self._look(frame, difference.way)
        return smallest if smallest.rule == rule else replace(difference, details="It differs only sometimes.")

    def _look(self, frame: bytes, way: Way) -> Difference:
        try:
            return look(self.kernel, self._model(way), frame)
        except NotModelled:  # it has become smaller than the model supports
            return Difference(frame=frame, way=way, predicted=Lost(), trail=[], got=Lost())


def look(kernel: KernelDevice, model: Model, frame: bytes) -> Difference:
    """Run kernel and model on one frame; the rule of the result is "nothing" if they agree.

    Raises `NotModelled`.
    """
    way = model.way
    got: KernelOutcome | str
    predicted, trail = model.explain(frame)
    try:
        got = kernel.send(frame, way)
    except (EnvironmentProblem, OSError) as problem:
        kernel.close()
        got = str(problem)
    if got == predicted or (
        not isinstance(got, str) and hidden_by(predicted, got, trail=trail, header_size=_reader_header(way))
    ):
        trail, got = [], predicted
    return Difference(frame=frame, way=way, predicted=predicted, trail=trail, got=got)


def _reader_header(way: Way) -> int:
    return 0 if way.reader is None else way.reader_header_size
