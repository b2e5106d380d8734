"""What the command prints for people: tables and pictures on a terminal, the same as plain text in a pipe."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from tio import ByteOrder, VnetHeader
from tunproof import picture
from tunproof.bench import Rates
from tunproof.corpus.load import Corpus
from tunproof.corpus.model import (
    Case,
    KernelDelivers,
    KernelLost,
    KernelNotAsked,
    KernelRefused,
    Packets,
    ReadCase,
    Refused,
    Rejected,
    WriteGsoCase,
    Written,
)
from tunproof.doctor import Check, Status
from tunproof.judge import describe_packets, hexdump
from tunproof.kernel import KernelReport
from tunproof.reference import ReferenceReport
from tunproof.streams import discard_output

__all__ = ["Terminal"]

_STATUS = {Status.OK: "green", Status.WARN: "yellow", Status.MISSING: "red"}
_VNET_SIZE = 10
_PIPE_WIDTH = 160  # of tables
_MOST_BYTES = 256  # of a frame, in `show`
_MOST_SEGMENTS = 4  # columns of the table of changes


class _Console(Console):
    """A console that goes on in silence when its reader has gone away: the exit code is still wanted."""

    def on_broken_pipe(self) -> None:
        discard_output()
        self.quiet = True


class Terminal:
    """Everything goes to one console, which knows whether it is a terminal. Errors and progress go to stderr."""

    def __init__(self) -> None:
        self.out = _Console(highlight=False)
        if not self.out.is_terminal:  # nobody looks at a pipe, so no line is broken that a program may search
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

    def kernel_report(self, report: KernelReport, cases: Iterable[Case]) -> None:
        """Print what a kernel said: a line per topic, then every disagreement."""
        self.out.print(f"[bold]Linux {escape(report.kernel)}[/bold], cut by the kernel between two TUN devices\n")
        self._topics(cases, {item.case.id for item in report.disagreements}, report.not_applicable)
        for reason, number in Counter(report.not_applicable.values()).most_common():
            self.out.print(f"n/a, {number}: {escape(reason)}", style="dim")
        for item in report.disagreements:
            self.out.print(f"\n[red]{item.case.id}[/red]  (tunproof show {item.case.id})\n{escape(item.explain())}")
        self._summary(report.agree, len(report.disagreements), len(report.not_applicable), report.seconds)

    def reference_report(self, report: ReferenceReport, cases: Iterable[Case]) -> None:
        """Print what the reference said: a line per topic, then every failure."""
        self.out.print("[bold]the reference[/bold] (tio), reading frames and writing to a wire\n")
        self._topics(cases, {failure.case.id for failure in report.failures}, ())
        for failure in report.failures:
            self.out.print(f"\n[red]{failure.case.id}[/red]  (tunproof show {failure.case.id})")
            self.out.print(escape(failure.difference))
        self._summary(report.cases - len(report.failures), len(report.failures), 0, report.seconds)

    def _topics(self, cases: Iterable[Case], wrong: Container[str], not_applicable: Container[str]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for case in cases:
            verdict = "disagree" if case.id in wrong else "n/a" if case.id in not_applicable else "agree"
            counts[_topic(case.id)][verdict] += 1
        columns = ("agree", "disagree", "n/a")
        table = self.table("topic", "cases", *columns, numbers=("cases", *columns))
        for topic, count in counts.items():
            table.add_row(topic, str(count.total()), *(_tally(count[name], name) for name in columns))
        self.out.print(table)

    def _summary(self, agree: int, disagree: int, not_applicable: int, seconds: float) -> None:
        style = "red" if disagree else "green"
        total = agree + disagree + not_applicable
        text = f"{total} cases: {agree} agree, {disagree} disagree, {not_applicable} not applicable, {seconds:.2f} s"
        self.out.print(f"\n[{style}]{text}[/{style}]")

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

    def rates(self, rates: Rates) -> None:
        """Print the bench."""
        table = self.table("what", "rate", "", numbers=("rate",))
        for name, rate, note in (
            ("bare", rates.bare_per_s, "superpackets/s: writev, three readv, nothing else"),
            ("replay", rates.replay_per_s, f"superpackets/s, every byte compared: {rates.replay_ratio:.2f} of bare"),
            ("segment", rates.segment_per_s, "superpackets/s cut by the reference"),
            ("tunnel, offload", rates.tunnel_gso_mbit_s, "Mbit/s of TCP payload, cut and joined by the reference"),
            ("tunnel, plain", rates.tunnel_plain_mbit_s, "Mbit/s of TCP payload, packet by packet"),
        ):
            table.add_row(name, f"{rate:,.0f}", note)
        self.out.print(table)

    def listing(self, cases: Iterable[Case]) -> None:
        """Print one line a case."""
        for case in cases:
            self.out.print(f"{case.id}  [dim]{escape(case.about)}[/dim]")

    def case(self, case: Case, corpus: Corpus) -> None:
        """Print one case: the cut, the fields, the bytes, and why it matters."""
        self.out.print(f"[bold]{case.id}[/bold]  {case.level}, {case.importance}\n{escape(case.about)}\n")
        frame = case.frame
        if isinstance(case, WriteGsoCase):
            self._pieces(case)
        if frame is not None and len(frame) >= _VNET_SIZE:
            header = VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)
            self.out.print(f"vnet header\n{picture.vnet_summary(header)}\n")
        self._outcome(case, frame or b"")
        self._why(case, corpus)

    def _pieces(self, case: WriteGsoCase) -> None:
        hdr, transport_hdr, pays = case.pieces
        sizes = ", ".join(str(len(pay)) for pay in pays[:8]) + (", …" if len(pays) > 8 else "")

        headers = f"hdr {len(hdr)} bytes, transport_hdr {len(transport_hdr)} bytes"
        self.out.print(f"write_gso({headers}, {len(pays)} fragments: {sizes})\n")

    def _outcome(self, case: Case, frame: bytes) -> None:
        match case.expect:
            case Packets(packets=packets) | Written(segments=packets):
                self._cut(frame[10:], [bytes.fromhex(packet) for packet in packets])
            case Rejected(rule=rule):
                self.out.print(f"must be turned down (the reference's rule {rule}), and the next frame must be read")
            case Refused(rule=rule):
                self.out.print(f"must be refused (the reference's rule {rule}), with nothing written")
        match case.kernel:
            case KernelRefused(errno=errno, because=because):
                self._kernel(f"a kernel refuses the write: {errno}", because)
            case KernelLost(because=because):
                self._kernel("a kernel accepts the write and loses it", because)
            case KernelDelivers(packets=packets, because=because):
                self._kernel(f"a kernel delivers {describe_packets(tuple(map(bytes.fromhex, packets)))}", because)
            case KernelNotAsked():
                pass
        if isinstance(case.expect, Rejected) and len(frame) > _VNET_SIZE:
            self._fields(frame)
        if frame:
            shown = frame[:_MOST_BYTES]
            more = f"\n… {len(frame) - _MOST_BYTES} more bytes" if len(frame) > _MOST_BYTES else ""
            self.out.print(f"\nframe, {len(frame)} bytes (vnet header: the first 10)\n{escape(hexdump(shown))}{more}")

    def _kernel(self, does: str, because: str | None) -> None:
        self.out.print(does + (f"\n  why the two may differ: {escape(because)}" if because else ""))

    def _fields(self, frame: bytes) -> None:
        table = self.table("field", "byte", "value", numbers=("byte",))
        for name, offset, value in picture.fields_of(frame):
            table.add_row(name, str(offset), value)
        self.out.print()
        self.out.print(table)

    def _cut(self, packet: bytes, segments: list[bytes]) -> None:
        self.out.print(escape(picture.cut(packet, segments, width=min(self.out.width, 100))))
        changes = picture.changes(segments)
        if not changes:
            self.out.print()
            return
        shown = segments if len(segments) <= _MOST_SEGMENTS else segments[: _MOST_SEGMENTS - 1]
        heads = [f"segment {index}" for index in range(len(shown))]
        last = len(segments) > len(shown)
        table = self.table("field", *heads, *([f"segment {len(segments) - 1}"] if last else []))
        for change in changes:
            values = change.values[: len(shown)] + (change.values[-1:] if last else ())
            table.add_row(change.name, *values)
        self.out.print()
        self.out.print(table)
        self.out.print("all other header fields are copied\n", style="dim")

    def _why(self, case: Case, corpus: Corpus) -> None:
        self.out.print("\n[bold]why it matters[/bold]")
        for name in case.flags:
            flag = corpus.flags[name]
            self.out.print(f"{name}: {escape(flag.description)}\n  effect: {escape(flag.effect)}")
            for link in flag.links:
                self.out.print(f"  {link}")
        for basis in case.basis:
            self.out.print(f"basis, {basis.kind}: {escape(basis.ref)}", style="dim")
        if case.sibling:
            self.out.print(f"valid sibling: {case.sibling}", style="dim")
        if case.traits:
            self.out.print(f"depends on kernel traits: {', '.join(case.traits)}", style="dim")
        confirmed = ", ".join(case.confirmed) if not isinstance(case.kernel, KernelNotAsked) else "no kernel is asked"
        self.out.print(f"confirmed on: {confirmed}", style="dim")
        kind = "frame" if isinstance(case, ReadCase) else "arguments"
        self.out.print(f"digest of {kind} and outcomes: {case.digest}", style="dim")


class Ticker:
    """A progress bar's handle."""

    def __init__(self, bar: Progress, task: object) -> None:
        self._bar = bar
        self._task = task

    def __call__(self, done: int, total: int, *, note: str = "") -> None:
        """Say how much is done, and of how much."""
        self._bar.update(self._task, completed=done, total=total, note=note)  # type: ignore[arg-type]


def _topic(case_id: str) -> str:
    return case_id.rpartition("/")[0]


def _tally(number: int, name: str) -> str:
    if not number:
        return "·"
    return f"[red]{number}[/red]" if name == "disagree" else str(number)
