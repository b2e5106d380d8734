"""The report of a run: a summary for people, one object for machines, and Markdown to keep."""

from collections import Counter
from dataclasses import dataclass

from mutation.config import ARGUED_AT_MOST, KILLED_AT_LEAST
from mutation.equivalent import Argument, Key, match

__all__ = ["Result", "Run"]

_ORIGIN = "`make mutants` makes this file; the arguments stand in `tools/mutation/equivalent.toml`."


@dataclass(frozen=True, slots=True)
class Result:
    """A mutant and what became of it."""

    key: Key
    line_number: int
    outcome: str
    seconds: float

    @property
    def place(self) -> str:
        """Where the mutant is, for an editor to jump to."""
        return f"reference/tio/{self.key.module}.py:{self.line_number}"


class Run:
    """All results, in the order of modules and lines, with the arguments that belong to them."""

    def __init__(self, results: list[Result], arguments: list[Argument], modules: list[str]) -> None:
        self.modules = modules
        self.results = sorted(
            results,  # which come as the workers finish
            key=lambda item: (modules.index(item.key.module), item.line_number, item.key.operator, item.key.mutated),
        )
        self.survivors = [result for result in self.results if result.outcome == "survived"]
        self.reasons, self.stale = match(arguments, [result.key for result in self.survivors], set(modules))
        self.argued = sum(result.key in self.reasons for result in self.survivors)

    @property
    def killed_percent(self) -> float:
        """How many of all mutants are killed; an argument makes none of them killed."""
        return _percent(len(self.results) - len(self.survivors), len(self.results))

    @property
    def argued_percent(self) -> float:
        """How many of all mutants are argued to be equivalent."""
        return _percent(self.argued, len(self.results))

    def complaints(self) -> list[str]:
        """Return why this run is not good enough."""
        found = []
        if self.killed_percent < KILLED_AT_LEAST:
            found.append(f"{self.killed_percent:.1f} % are killed, not {KILLED_AT_LEAST:.0f} %")
        if self.argued_percent > ARGUED_AT_MOST:
            found.append(f"{self.argued_percent:.1f} % are argued to be equivalent, over {ARGUED_AT_MOST:.0f} %")
        for argument in self.stale:
            key = argument.key
            where = f"{key.module}, {key.function}"
            found.append(f"equivalent.toml is stale: no survivor is {key.operator} in {where}: {key.mutated}")
        return found

    def summary(self) -> list[str]:
        """Return the table and the survivors as lines."""
        lines = [f"{'module':<12}" + "".join(f"{name:>16}" for name in _COLUMNS)]
        lines += [f"{name:<12}" + "".join(f"{value:>16}" for value in row) for name, row in self._rows()]
        for result in self.survivors:
            why = self.reasons.get(result.key)
            lines += ["", f"{result.place}: {result.key.operator}, in {result.key.function}", *_diff(result.key)]
            lines += [f"  equivalent: {why}"] if why else []
        return lines

    def as_json(self) -> dict[str, object]:
        """Return all of it as one object."""
        return {
            "mutants": len(self.results),
            "killed_percent": round(self.killed_percent, 2),
            "argued_percent": round(self.argued_percent, 2),
            "seconds_per_mutant": round(sum(item.seconds for item in self.results) / max(len(self.results), 1), 4),
            "modules": {
                module: dict(Counter(item.outcome for item in self.results if item.key.module == module))
                for module in self.modules
            },
            "survivors": [
                {
                    "place": item.place,
                    "function": item.key.function,
                    "operator": item.key.operator,
                    "line": item.key.line,
                    "mutated": item.key.mutated,
                    "why_equivalent": self.reasons.get(item.key),
                }
                for item in self.survivors
            ],
            "complaints": self.complaints(),
        }

    def markdown(self) -> str:
        """Return the report to keep: nothing in it depends on the machine, so it differs only where the corpus does."""
        lines = ["# Mutants of the reference that the corpus does not notice", "", _ORIGIN, ""]
        killed = f"{len(self.results)} mutants, {self.killed_percent:.1f} % killed"
        argued = f"{self.argued} ({self.argued_percent:.1f} % of all) are argued to be equivalent"
        lines += [
            f"{killed}. {len(self.survivors)} survive; {argued}.",
            "",
            f"| module | {' | '.join(_COLUMNS)} |",
            "|---|" + "---:|" * len(_COLUMNS),
        ]
        lines += [f"| {name} | {' | '.join(row)} |" for name, row in self._rows()]
        lines += ["", "`does not import` is killed before any case is asked.", ""]
        for result in self.survivors:
            why = self.reasons.get(result.key, "*not argued: a case is missing*")
            lines += [f"## `{result.place}`, `{result.key.function}`", "", f"{result.key.operator}", ""]
            lines += ["```diff", *(line.strip() for line in _diff(result.key)), "```", "", f"Equivalent: {why}", ""]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, list[str]]]:
        rows = [(name, [item for item in self.results if item.key.module == name]) for name in self.modules]
        return [(name, _row(results)) for name, results in [*rows, ("all", self.results)]]


_COLUMNS = ("mutants", "killed", "does not import", "timeout", "survived", "percent killed")


def _row(results: list[Result]) -> list[str]:
    count = Counter(result.outcome for result in results)
    killed = len(results) - count["survived"]
    numbers = [len(results), killed, count["does not import"], count["timeout"], count["survived"]]
    return [*map(str, numbers), f"{_percent(killed, len(results)):.1f}"]


def _diff(key: Key) -> list[str]:
    return [f"  - {key.line}", f"  + {key.mutated}"]


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0
