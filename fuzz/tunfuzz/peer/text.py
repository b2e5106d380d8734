"""The summary for people."""

from rich.text import Text

from tunfuzz.peer.request import Summary
from tunproof.cli.terminal import Page, Terminal

__all__ = ["show"]


def show(terminal: Terminal, summary: Summary) -> None:
    """Print what was run, what was not, and what was found."""
    page = Page(terminal)
    terminal.say(
        f"{summary.subject} ({summary.mode}): {summary.cases} cases from seed {summary.seed}"
        f" in {summary.seconds:.1f} s, {summary.per_s:,.0f} per second\n"
    )
    table = terminal.table("operation", "cases", "of them refused", numbers=("cases", "of them refused"))
    for operation, count in summary.operations.items():
        table.add_row(operation, str(count), str(summary.refused[operation]))
    terminal.out.print(table)
    for what, counts in (
        ("not run", summary.skipped),
        ("legitimate difference", summary.waived),
        ("advice", summary.advice),
        ("policy", summary.policies),
        ("known", summary.known),
    ):
        for name, count in sorted(counts.items(), key=lambda item: -item[1]):
            page.say(f"{what}: {name}" + (f", {count} times" if count else ""))
    for text in summary.stale:
        page.say(f"known, but not met this time; if it is mended, remove the entry: {text}")
    for text in (*summary.troubles, summary.stopped, *summary.mishaps):
        if text:
            terminal.out.print(Text(text, style="yellow"))
    terminal.say(f"\n{len(summary.findings)} findings")
    for kept in summary.findings:
        page.say(f"{kept.title}{f' ({kept.times} times)' if kept.times > 1 else ''}", 2, style="red")
        is_known = f"{kept.flag} ({kept.like}): {kept.effect}" if kept.flag else "none of the known classes of bugs"
        page.say(f"resembles {is_known}", 4)
        page.say(f"rule: {kept.rule}", 4)
        page.say(kept.folder or "not on disk", 4)
    if summary.interrupted:
        terminal.say("interrupted")
