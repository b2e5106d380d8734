"""A summary for people."""

from rich.text import Text

from tunfuzz.campaign.summary import Summary
from tunproof.cli.terminal import Page, Terminal

__all__ = ["show"]


def show(terminal: Terminal, summary: Summary) -> None:
    """Print a summary: histograms, rules, findings, and how to continue."""
    tally, page = summary.tally, Page(terminal)
    terminal.say(
        f"{tally.cases} cases from seed {summary.seed} in {summary.seconds:.1f} s, {summary.per_s:,.0f} per second"
    )
    for what, counts in (("outcome", tally.outcomes), ("shape", tally.shapes), ("mask", tally.masks)):
        _histogram(terminal, what, counts, tally.cases)
    never = summary.never_exercised
    terminal.say(f"\nrules exercised: {len(summary.rules) - len(never)} of {len(summary.rules)}")
    for name in never if tally.cases else ():
        page.say(f"never: {name}", 2)
    terminal.say(f"\n{tally.differences} differences, {len(summary.findings)} findings")
    for folder in summary.findings:
        page.say(str(folder), 2, style="red")
    for problem in summary.problems:
        terminal.out.print(Text(problem, style="yellow"))
    if summary.interrupted:
        terminal.say("interrupted")
    if summary.resume is not None:
        terminal.say(f"{summary.missing} cases are missing; to continue: {summary.resume}")


def _histogram(terminal: Terminal, what: str, counts: dict[str, int], cases: int) -> None:
    if not counts:
        return
    table = terminal.table(what, "cases", "share", numbers=("cases", "share"))
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(Text(name), str(count), f"{count / cases:.1%}")
    terminal.say("")
    terminal.out.print(table)
