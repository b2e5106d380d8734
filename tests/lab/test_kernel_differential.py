"""Kernel and model: no difference, generators that reach everything, and no rule that could be wrong unnoticed."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from tio.linux import RULES, Delivered, KernelOutcome, Model, NotModelled, Refused, Traits, Way
from tio.linux.dissect import dissect
from tunfuzz.differential.cases import BLOCK, block, way_of
from tunfuzz.differential.experiment import experiment
from tunfuzz.differential.flips import FLIPS, GUARDS, SHADOWED, flipped
from tunfuzz.differential.kernel import Differential, corpus_frames, rules_on_the_ways
from tunfuzz.differential.masks import hidden_by
from tunfuzz.shard import Shard
from tunproof import lab
from tunproof.runs import findings

pytestmark = pytest.mark.lab

CASES = 100_000


@dataclass(frozen=True)
class Seen:
    """A frame, the way it took, and what the kernel did with it."""

    frame: bytes
    way: Way
    got: KernelOutcome


@dataclass(frozen=True)
class Record:
    """What the running kernel did with many frames, and which of them met a rule."""

    traits: Traits
    seen: list[Seen]
    met: dict[str, list[Seen]]


@pytest.fixture(scope="module")
def record() -> Record:
    asked = experiment()
    assert isinstance(asked.runner, Differential)
    traits = asked.runner.traits
    seen: list[Seen] = []
    met: dict[str, list[Seen]] = defaultdict(list)
    models: dict[Way, Model] = {}
    with lab.RunningKernel() as kernel:
        for number in range(CASES // BLOCK):
            way = way_of(number)
            model, send = models.setdefault(way, Model(traits, way)), kernel.sender(way)
            for frame, _ in block(7, number, corpus_frames()):
                try:
                    predicted, trail = model.explain(frame)
                except NotModelled:
                    continue
                hint = len(predicted.packets) if isinstance(predicted, Delivered) else 0
                one = Seen(frame, way, send(frame, hint))
                seen.append(one)
                for name in set(trail):
                    met[name].append(one)
    return Record(traits, seen, met)


def is_noticed(record: Record, name: str) -> bool:
    """Whether the kernel contradicts a model in which this rule is flipped, by an outcome of its own."""
    models: dict[Way, Model] = {}
    candidates = record.seen if name in SHADOWED or name in GUARDS else record.met[name]
    with flipped(name):
        for one in candidates:
            model = models.get(one.way) or models.setdefault(one.way, Model(record.traits, one.way))
            try:
                predicted, trail = model.explain(one.frame)
            except Exception:  # noqa: BLE001, S112 (a flipped model may fall over, which contradicts nobody)
                continue
            size = 0 if one.way.reader is None else one.way.reader_header_size
            if predicted != one.got and hidden_by(predicted, one.got, trail=trail, header_size=size) is None:
                return True
    return False


def test_each_rule_flipped_on_purpose_is_noticed(record: Record) -> None:
    names = rules_on_the_ways(record.traits)
    assert len(names) > 70
    assert [name for name in names if not is_noticed(record, name)] == []


def test_every_fact_has_a_flip() -> None:
    assert set(FLIPS) == {rule.name for rule in RULES.values() if rule.kind == "fact"}
    assert {RULES[name].kind for name in {*SHADOWED, *GUARDS}} == {"loss"}


def test_kernel_and_model_agree_and_the_generator_goes_everywhere(tmp_path: Path) -> None:
    asked = experiment()
    tally = asked.runner(Shard(seed=11, first=0, count=CASES), tmp_path)
    assert (tally.differences, tally.findings) == (0, [])
    assert tally.cases == CASES
    assert [name for name in asked.rules if not tally.rules.get(name)] == []
    assert tally.outcomes["delivered"] > 0.2 * CASES
    assert tally.outcomes["refused"] > 0.2 * CASES
    assert tally.outcomes["lost"] > 0.03 * CASES
    assert tally.shapes["structure"] > 0.25 * CASES


def test_the_same_cases_are_asked_however_they_are_sharded(tmp_path: Path) -> None:
    run = experiment().runner
    whole = run(Shard(seed=3, first=0, count=4000), tmp_path)
    parts = run(Shard(seed=3, first=0, count=1700), tmp_path)
    parts.add(run(Shard(seed=3, first=1700, count=2300), tmp_path))
    assert (parts.cases, parts.outcomes, parts.rules) == (whole.cases, whole.outcomes, whole.rules)


def test_a_difference_is_made_small_and_is_on_disk(tmp_path: Path) -> None:
    run = experiment().runner
    with flipped("tcp_sequence"):
        tally = run(Shard(seed=5, first=0, count=1000), tmp_path)
    assert tally.differences > 3
    folders = findings.in_folder(tmp_path)
    assert {folder.name for folder in folders} == set(tally.findings)
    assert 0 < len(folders) <= 3
    finding = findings.load(folders[0])
    assert finding.rule == "field tcp.sequence"
    # Nothing is left of a frame but its headers and a payload of one segment and a byte.
    packet = bytes.fromhex(finding.input["frame"])[10:]
    flow = dissect(packet)
    assert flow is not None
    assert len(packet) - flow.offset - 4 * (packet[flow.offset + 12] >> 4) <= 2
    assert finding.seed == 5
    assert f"tunproof fuzz kernel --replay {folders[0]}" in finding.repro


def test_a_kernel_with_an_errno_that_nobody_expects_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = experiment().runner
    monkeypatch.setattr(lab.Exchange, "send", lambda *_: Refused(95))
    tally = run(Shard(seed=5, first=0, count=200), tmp_path)
    assert tally.differences == 200
    assert {findings.load(folder).got["errno"] for folder in findings.in_folder(tmp_path)} == {"ENOTSUP"}
