"""Numbers and names of whole runs that several reports state."""

from collections import Counter
from collections.abc import Sequence

from tunproof.runs.results import Results, Run
from tunproof.text import legible

__all__ = ["labels", "mean_quality", "policies", "subject_line"]


def policies(results: Results) -> dict[str, int]:
    """Return the policies that were seen, and in how many cases each, the most frequent first."""
    counts = Counter(legible(policy) for result in results.results.values() for policy in result.policies)
    return dict(counts.most_common())


def mean_quality(results: Results) -> tuple[float, int] | None:
    """Return the mean merge quality, from 0 to 1, and of how many batches, or None where nothing could be joined."""
    found = [result.quality for result in results.results.values() if result.quality is not None]
    return (sum(found) / len(found), len(found)) if found else None


def subject_line(run: Run) -> str:
    """Return what was tested, with version and language where it said so."""
    said = run.implementation
    if said is None:
        return legible(run.subject)
    name = said.name if said.name == run.subject else f"{run.subject}: {said.name}"
    return legible(f"{name} {said.version} ({said.language})")


def labels(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its subject, and of those with the same what tells them apart."""
    names = [
        " · ".join([run.subject, *_apart(run, [one for one in runs if one.subject == run.subject])]) for run in runs
    ]
    counts = Counter(names)
    return [legible(f"{name} · {at}" if counts[name] > 1 else name) for at, name in enumerate(names, 1)]


def _apart(run: Run, alike: Sequence[Run]) -> list[str]:
    """Return as few attributes of a run as tell it from those with the same subject, as far as any do."""
    said: list[str] = []
    for value in (_version, _kernel, _mode, _started):
        if len(alike) < 2:
            break
        if len({value(one) for one in alike}) > 1:
            said.append(value(run))
            alike = [one for one in alike if value(one) == value(run)]
    return said


def _version(run: Run) -> str:
    return run.implementation.version if run.implementation else "no version"


def _kernel(run: Run) -> str:
    return run.kernel


def _mode(run: Run) -> str:
    return run.mode


def _started(run: Run) -> str:
    return run.started
