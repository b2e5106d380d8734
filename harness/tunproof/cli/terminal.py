"""What the command prints for people: tables and pictures on a terminal, the same as plain text in a pipe."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from tunproof.cli.doctor import Check, Status
from tunproof.judge.verdict import NOT_RUN
from tunproof.packets.difference import hexdump
from tunproof.streams import discard_output

if TYPE_CHECKING:  # a command that needs none of them starts at once
    from tunproof.authoring.lint import Finding
    from tunproof.cli.bench import Figure, Rates
    from tunproof.corpus.cases import Case
    from tunproof.corpus.stats import Stats
    from tunproof.kernel.probes import Probed
    from tunproof.reports.failure import Explanations
    from tunproof.runs.results import Results

__all__ = ["Page", "Terminal"]

_STATUS = {Status.OK: "green", Status.WARN: "yellow", Status.MISSING: "red"}
_PIPE_WIDTH = 160  # of tables
_PICTURE = 100  # columns that a picture may have
_MOST_BYTES = 160  # of a hexdump
_IN_FULL = 8  # explanations of what was unexpected
_MOST_CAUSES = 26  # lines: with headings and what follows, a screen of 40
_WRONG = {"fail", "xpass", "error", "crash", "hang", "oom", "protocol-error", "flaky"}


class _Console(Console):
    """A console that falls silent when its reader goes away: the exit code still matters."""

    def on_broken_pipe(self) -> None:
        discard_output()
        self.quiet = True


class Terminal:
    """Everything goes to one console, which knows whether it is a terminal. Errors and progress go to stderr."""

    def __init__(self) -> None:
        self.out = _Console(highlight=False)
        if not self.out.is_terminal:  # a pipe is for programs, which search whole lines
            self.out.soft_wrap = True
            self.out.width = _PIPE_WIDTH
        self.err = _Console(stderr=True, highlight=False)

    @contextmanager
    def progress(self, what: str) -> Iterator["Ticker"]:
        """Show a bar on a terminal, and nothing in a pipe."""
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, console=self.err, transient=True, disable=not self.err.is_terminal) as bar:
            yield Ticker(bar, bar.add_task(what, total=None, note=""))

    def table(self, *columns: str, numbers: Iterable[str] = ()) -> Table:
        """Return an empty table: lines on a terminal, blanks in a pipe."""
        table = Table(box=box.SIMPLE_HEAD if self.out.is_terminal else None, pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right" if column in set(numbers) else "left", overflow="fold")
        return table

    def kernel_report(self, run: "Explanations", probed: "Probed") -> None:
        """Print what a kernel did, as for any other subject, and its traits before the last line."""
        results = run.results
        self.out.print(f"[bold]{escape(results.run.subject)}[/bold], segmented by the kernel between two TUN devices\n")
        self._verdicts(results)
        self._traits(probed, results.run.kernel)
        self._unexpected(run)
        self.out.print()
        self.end(results)

    def _traits(self, probed: "Probed", release: str) -> None:
        from tunproof.kernel import describe as kernel_traits

        self.out.print("\n[bold]where kernels differ[/bold], and what probes found in this one:")
        for word, text in kernel_traits.describe(probed):
            self.out.print(Text(f"{word:8} {text}", style="yellow" if word == "unknown" else ""))
        if departs := kernel_traits.departures(probed, release):
            self.out.print(Text(f"release  {departs}"))
        for trait in kernel_traits.regressions(probed):
            tunnels = kernel_traits.concerns_tunnels_only(trait)
            heading = "known, for UDP tunnels only" if tunnels else "known regression"
            self.out.print(Text(f"{heading}: {kernel_traits.tell(trait)}", style="dim" if tunnels else "yellow"))

    def check_report(self, run: "Explanations") -> None:
        """Print what a subject did: a line per topic, then the unexpected results, the first few in full."""
        from tunproof.reports.figures import mean_quality, policies, subject_line

        results, conditions = run.results, run.results.run
        where = f"mode {conditions.mode}, Linux {escape(conditions.kernel)}"
        self.out.print(f"[bold]{escape(subject_line(conditions))}[/bold], {where}\n")
        self._causes(results)
        self._verdicts(results)
        self._unexpected(run)
        for problem in results.problems:
            self.out.print(Text(f"\n{problem.id}  {problem.what}: {problem.text}", style="red"))
        self.out.print()
        for policy, count in policies(results).items():
            self.out.print(Text(f"policy, seen in {count} cases: {policy}"))
        quality = mean_quality(results)
        if quality is not None:
            self.out.print(f"merge quality: {quality[0]:.0%} of what could be joined, over {quality[1]} batches")
        self.end(results)

    def _unexpected(self, run: "Explanations") -> None:
        """Print the smallest case of the first causes in full, and what no cause explains in a line each."""
        from tunproof.reports.causes import unexplained
        from tunproof.reports.failure import headline

        found = run.results.results
        in_full = [found[cause.smallest] for cause in run.results.causes if cause.unexpected][:_IN_FULL]
        others = unexplained(run.results)
        for result in in_full + others[: _IN_FULL - len(in_full)]:
            self.out.print()
            head, _, rest = run.of(result).text.partition("\n")
            self.out.print(Text(head, style="red"))
            self.out.print(Text(rest))
        for result in others[_IN_FULL - len(in_full) :]:
            self.out.print(Text(f"{result.id}  {result.verdict}  {headline(run.of(result))}"))

    def _causes(self, results: "Results") -> None:
        """Print the first screen: a line for each cause."""
        from tunproof.reports.causes import grouped, line

        room = _MOST_CAUSES
        for heading, causes in grouped(results):
            self.out.print(f"[bold]{heading}[/bold]: {len(causes)}")
            for cause in causes[:room]:
                level, reach, count, words, flag = line(cause)
                text = f"  {level:6} {reach:7} {count:>4}  {words}"
                style = "red" if cause.unexpected else ""
                self.out.print(Text(f"{text} [{flag}]" if cause.flag else text, style=style), no_wrap=True)
            if causes[room:]:
                self.out.print(f"  … {len(causes) - room} more, in the reports (--report DIR)")
            room = max(room - len(causes), 0)
            self.out.print()

    def _verdicts(self, results: "Results") -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        reasons: Counter[tuple[str, str]] = Counter()
        for result in results.results.values():
            counts[_topic(result.id)][result.verdict.value] += 1
            if result.verdict in NOT_RUN:
                reasons[result.verdict.value, result.difference] += 1
        columns = list(results.verdicts())
        table = self.table("topic", "cases", *columns, numbers=("cases", *columns))
        for topic, count in counts.items():
            if count.keys() <= NOT_RUN:  # the reasons below say it
                continue
            table.add_row(topic, str(count.total()), *(_tally(count[name], name) for name in columns))
        self.out.print(table)
        for (verdict, reason), number in reasons.most_common():
            self.out.print(Text(f"{verdict}, {number}: {reason}", style="dim"))

    def end(self, results: "Results") -> None:
        """Print a run in one line."""
        wrong = len(results.unexpected())
        says = ", ".join(f"{count} {verdict}" for verdict, count in results.verdicts().items())
        seconds = results.end.seconds if results.end else 0
        restarts = f", {results.end.restarts} restarts" if results.end and results.end.restarts else ""
        stopped = f", stopped before the other {results.run.cases - len(results.results)}" if results.stopped else ""
        style = "red" if wrong else "green"
        text = f"{len(results.results)} cases: {says}; {wrong} unexpected{restarts}{stopped}, {seconds:.2f} s"
        self.out.print(f"[{style}]{text}[/{style}]")

    def checks(self, checks: Iterable[Check]) -> None:
        """Print what the doctor found, and the cures under it."""
        table = self.table("", "what", "found")
        found = list(checks)
        for check in found:
            colour = _STATUS[check.status]
            table.add_row(f"[{colour}]{check.status.value}[/{colour}]", escape(check.name), escape(check.detail))
        self.out.print(table)
        cures: dict[str, list[str]] = defaultdict(list)
        for check in found:
            if check.cure:
                cures[check.cure].append(check.name)
        for cure, names in cures.items():
            self.out.print(f"\n[bold]{escape(', '.join(names))}[/bold]: {escape(cure)}")

    def rates(self, rates: "Rates", figures: "Sequence[Figure]" = ()) -> None:
        """Print the bench, and what other packages measured."""
        table = self.table("what", "rate", "", numbers=("rate",))
        for name, rate, note in (
            ("bare", rates.bare_per_s, "superpackets/s: writev, three readv, nothing else"),
            ("replay", rates.replay_per_s, f"superpackets/s, every byte compared: {rates.replay_ratio:.2f} of bare"),
            ("segment", rates.segment_per_s, "superpackets/s segmented by the reference"),
            ("check, adapter", rates.check_lockstep_per_s, "small cases/s through the Python kit, one by one"),
            ("check, batches", rates.check_batch_per_s, "the same in batches"),
            ("tunnel, offload", rates.tunnel_gso_mbit_s, "Mbit/s of TCP payload, segmented and joined by tio"),
            ("tunnel, plain", rates.tunnel_plain_mbit_s, "Mbit/s of TCP payload, packet by packet"),
        ):
            table.add_row(name, f"{rate:,.0f}", note)
        for figure in figures:
            value = f"{figure.value:.2f}" if figure.name.endswith("ratio") else f"{figure.value:,.0f}"
            short = figure.name.removesuffix("_per_s").removesuffix("_ratio").replace("_", " ")
            table.add_row(short, value, figure.says)
        self.out.print(table)
        ratio = f"{rates.check_direct_ratio:.2f}"
        self.out.print(f"a check of the reference takes {ratio} times as long as calling it and comparing")

    def say(self, text: str) -> None:
        """Print a line."""
        self.out.print(escape(text))

    def findings(self, findings: "Sequence[Finding]") -> None:
        """Print what lint found, one finding per line, and the count."""
        for finding in findings:
            where = finding.file if finding.case == "-" else f"{finding.file}: {finding.case}"
            self.out.print(f"{escape(where)}: [red]{escape(finding.field)}[/red]: {escape(finding.reason)}")
        self.out.print(f"{len(findings)} findings" if findings else "[green]nothing is wrong[/green]")

    def stats(self, stats: "Stats") -> None:
        """Print the corpus in numbers."""
        total = f"{stats.cases} cases, {stats.bytes / 1e6:.2f} MB as JSON, loaded in {stats.seconds:.2f} s"
        self.out.print(f"[bold]{total}[/bold]\n")
        table = self.table("topic", "cases", "kB", numbers=("cases", "kB"))
        for topic in stats.topics:
            table.add_row(topic.name, str(topic.cases), f"{topic.bytes / 1000:.0f}")
        self.out.print(table)
        for name, counts in (
            ("operation", stats.operations()),
            ("level", stats.levels),
            ("importance", stats.importance),
            ("reach", stats.reach),
            ("read, handed over on", stats.wirings),
            ("must come out", stats.outcomes),
            ("kernels", stats.kernel),
            ("kernel trait", stats.traits),
            ("requires", stats.requires),
            ("confirmed on", stats.confirmed),
            ("flag", stats.flags),
        ):
            self._counts(name, counts)
        largest = self.table("largest", "kB", numbers=("kB",))
        for case in stats.largest:
            largest.add_row(case.id, f"{case.bytes / 1000:.1f}")
        self.out.print()
        self.out.print(largest)

    def _counts(self, name: str, counts: dict[str, int]) -> None:
        table = self.table(name, "cases", numbers=("cases",))
        for what, number in counts.items():
            table.add_row(escape(what), str(number))
        self.out.print()
        self.out.print(table)

    def listing(self, cases: Iterable["Case"]) -> None:
        """Print one line per case."""
        for case in cases:
            self.out.print(f"{case.id}  [dim]{escape(case.about)}[/dim]")


class Page:
    """A terminal with an indent: text breaks at words on a terminal, and nowhere in a pipe."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.width = min(terminal.out.width, _PICTURE)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.terminal.out.print()
        self.terminal.out.print(Text(text, style="bold"))

    def say(self, text: str, indent: int = 0, *, style: str = "") -> None:
        """Print prose."""
        out = self.terminal.out
        if out.is_terminal:
            out.print(Padding(Text(text, style=style), (0, 0, 0, indent)))
        else:
            out.print(Text(" " * indent + text))

    def draw(self, drawing: str, indent: int = 2) -> None:
        """Print lines that are never broken."""
        for line in drawing.splitlines():
            self.terminal.out.print(Text(" " * indent + line), no_wrap=True, crop=False)

    def table(self, table: Table, indent: int = 2) -> None:
        """Print a table."""
        self.terminal.out.print(Padding(table, (0, 0, 0, indent), expand=False))

    def dump(self, data: bytes) -> None:
        """Print bytes, the first of many."""
        self.draw(hexdump(data[:_MOST_BYTES]))
        self.more(len(data) - _MOST_BYTES, "bytes")

    def more(self, number: int, what: str) -> None:
        """Say how much is not shown."""
        if number > 0:
            self.say(f"… {number} more {what}", 2, style="dim")


class Ticker:
    """A progress bar's handle."""

    def __init__(self, bar: Progress, task: object) -> None:
        self._bar = bar
        self._task = task

    def __call__(self, done: int, total: int, *, note: str = "") -> None:
        """Report how much is done, out of how much."""
        self._bar.update(self._task, completed=done, total=total, note=note)  # type: ignore[arg-type]


def _topic(case_id: str) -> str:
    return case_id.rpartition("/")[0]


def _tally(number: int, name: str) -> str:
    if not number:
        return "·"
    return f"[red]{number}[/red]" if name in _WRONG else str(number)
