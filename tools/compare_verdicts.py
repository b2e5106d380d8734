"""Which verdicts does a change change? Every fake, the reference and the kernel, in two checkouts, case by case.

    python tools/compare_verdicts.py ../before .                          everything
    python tools/compare_verdicts.py ../before . --only reference kernel  some subjects
    python tools/compare_verdicts.py ../before . --also python:mine:Mine  and one of yours, on PYTHONPATH

Each checkout needs its `.venv`. Only the command line and the stream of results are used, so any two versions compare.
Exit code 1 means that a verdict differs; differences in wording are counted and do not matter.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_FAKES = "import fakes; print(*(f'{one.__module__}:{one.__name__}' for one in (*fakes.FAKES, *fakes.OWN)))"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Compared:
    """One subject in both checkouts: how many cases, the verdicts that differ, and how many texts do."""

    subject: str
    cases: int
    failures: int
    changed: tuple[str, ...]
    reworded: int


def main() -> int:
    """Compare, print a line for each subject, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", nargs="+", metavar="SUBJECT")
    parser.add_argument("--also", nargs="+", metavar="SUBJECT", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    wanted = parser.parse_args()
    before, after = wanted.before.absolute(), wanted.after.absolute()
    subjects = wanted.only or ["reference", "kernel", *fakes(before), *wanted.also]
    with ThreadPoolExecutor(wanted.jobs) as pool:
        compared = list(pool.map(lambda subject: compare(subject, before, after), subjects))
    for one in compared:
        print(f"{one.subject}: {one.cases} cases, {one.failures} not passed, {len(one.changed)} verdicts differ")
        for line in one.changed[:_SHOWN]:
            print(f"  {line}")
    wrong = sum(len(one.changed) for one in compared)
    cases, reworded = sum(one.cases for one in compared), sum(one.reworded for one in compared)
    print(f"{len(compared)} subjects, {cases} verdicts, {wrong} differ; {reworded} are worded differently")
    return 1 if wrong else 0


def fakes(checkout: Path) -> list[str]:
    """Return the fakes of a checkout as `tunproof check` takes them."""
    names = subprocess.run(
        [checkout / ".venv/bin/python", "-c", _FAKES],
        env=environment(checkout),
        capture_output=True,
        text=True,
        check=True,
    )
    return [f"python:{name}" for name in names.stdout.split()]


def compare(subject: str, before: Path, after: Path) -> Compared:
    """Run one subject in both checkouts."""
    old, new = results(subject, before), results(subject, after)
    both = old.keys() & new.keys()
    changed = [*_changed(old, new), *(f"{case}: in one of them only" for case in sorted(old.keys() ^ new.keys()))]
    return Compared(
        subject=subject,
        cases=len(new),
        failures=sum(one["verdict"] not in {"pass", "unsupported", "not-applicable"} for one in new.values()),
        changed=tuple(changed),
        reworded=sum(old[case].get("difference", "") != new[case].get("difference", "") for case in both),
    )


def _changed(old: dict[str, dict[str, object]], new: dict[str, dict[str, object]]) -> Iterator[str]:
    for case in sorted(old.keys() & new.keys()):
        told = [(one["verdict"], one.get("unexpected", False)) for one in (old[case], new[case])]
        if told[0] != told[1]:
            yield f"{case}: {told[0][0]}, now {told[1][0]}"


def results(subject: str, checkout: Path) -> dict[str, dict[str, object]]:
    """Return the results of a subject by case. Raises `RuntimeError` where the run came to no end."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["kernel"] if subject == "kernel" else ["check", subject]
        ran = subprocess.run(
            [checkout / ".venv/bin/tunproof", *words[:1], "--report", folder, "--json", *words[1:]],
            env=environment(checkout),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode not in {0, 1}:
            raise RuntimeError(f"{checkout.name}: {subject}: exit code {ran.returncode}\n{ran.stderr}")
        return {one["id"]: one for one in _records(Path(folder, "results.jsonl")) if one["record"] == "result"}


def _records(stream: Path) -> Iterable[dict[str, object]]:
    return map(json.loads, stream.read_text().splitlines())  # type: ignore[arg-type]


def environment(checkout: Path) -> dict[str, str]:
    """Return an environment in which a checkout finds its own tests' modules."""
    path = os.pathsep.join(filter(None, (str(checkout / "tests"), os.environ.get("PYTHONPATH", ""))))
    return os.environ | {"PYTHONPATH": path}


if __name__ == "__main__":
    sys.exit(main())
