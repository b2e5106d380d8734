"""One case for people: what goes in, what must come out, what kernels do, and why it matters.

Everything is drawn from the case alone; no kernel runs. Long inputs are truncated, with the remaining size:
`--json` has every byte.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.text import Text

from tunproof.cli.terminal import Page, Terminal
from tunproof.corpus import wording
from tunproof.corpus.capabilities import CAPABILITIES
from tunproof.corpus.cases import Case
from tunproof.corpus.codec import builtins_of
from tunproof.corpus.load import Corpus
from tunproof.judge.batch import inspect_batch
from tunproof.packets import picture
from tunproof.reports.blocks import Block, Changes, Drawing, Dump, Example, Listing, More, Prose, Rows, Verbatim
from tunproof.reports.operations import presentation_of
from tunproof.reports.operations.parts import listed

__all__ = ["as_json", "show"]

_MOST_SEGMENTS = 6  # columns of the table of what changes, where there is room
_FIELD_WIDTH, _COLUMN_WIDTH = 30, 13
_MOST_LINES = 12

_BASIS = {
    "rfc": "RFC",
    "virtio": "virtio specification",
    "kernel": "kernel source",
    "uapi": "kernel interface",
    "contract": "contract",
    "observed": "observed",
    "bug": "known bug",
}


def show(terminal: Terminal, case: Case, corpus: Corpus) -> None:
    """Print one case."""
    page = Page(terminal)
    presentation = presentation_of(case)
    ranked = f"  {case.level}, importance {case.importance}, reach {case.reach}"
    page.terminal.out.print(Text(case.id, style="bold"), ranked, sep="")
    page.say(case.about)
    page.heading("what goes in")
    _draw(page, presentation.input_blocks())
    page.heading("what must come out")
    _draw(page, presentation.outcome_blocks())
    page.heading("what kernels do")
    _draw(page, presentation.kernel_blocks())
    _traits(page, case, corpus)
    page.heading("why it matters")
    _flags(page, case, corpus)
    page.heading("about the case")
    _about(page, case)


def as_json(case: Case, corpus: Corpus) -> dict[str, Any]:
    """Return the case as it is in its file, and the explanations of its flags and traits."""
    return {
        "case": builtins_of(case),
        "flags": {name: builtins_of(corpus.flags[name]) for name in case.flags},
        "traits": {name: builtins_of(corpus.traits[name]) for name in sorted(case.traits)},
    }


# Blocks.


def _draw(page: Page, blocks: Iterable[Block]) -> None:
    for block in blocks:
        _DRAW[type(block)](page, block)


def _prose(page: Page, block: Prose) -> None:
    page.say(block.text, block.indent, style="dim" if block.dim else "")


def _verbatim(page: Page, block: Verbatim) -> None:
    page.draw(block.text)


def _listing(page: Page, block: Listing) -> None:
    for line in block.lines[:_MOST_LINES]:
        page.say(line, block.indent)
    page.more(len(block.lines) - _MOST_LINES, block.what)


def _more(page: Page, block: More) -> None:
    page.more(block.number, block.what)


def _dump(page: Page, block: Dump) -> None:
    page.dump(block.data)


def _rows(page: Page, block: Rows) -> None:
    _table(page, block.columns, block.rows, block.numbers)


def _drawing(page: Page, block: Drawing) -> None:
    page.draw(picture.drawn_cut(block.packet, block.segments, width=page.width - 2), 0)


def _changes(page: Page, block: Changes) -> None:
    """Print what changes in as many of the packets as there is room for."""
    changes = picture.changes(list(block.packets.values()))
    if not changes:
        return
    places, names = range(len(block.packets)), list(block.packets)
    most = min(max((page.terminal.out.width - _FIELD_WIDTH) // _COLUMN_WIDTH, 2), _MOST_SEGMENTS)
    shown = places if len(places) <= most else (*places[: most - 1], places[-1])
    columns = ("field", *(f"{block.what} {names[place]}" for place in shown))
    _table(page, columns, [(change.name, *(change.values[place] for place in shown)) for change in changes])
    page.more(len(places) - len(shown), f"{block.what}s between them")


def _example(page: Page, block: Example) -> None:
    frames = block.expect.example
    groups = inspect_batch(block.packets, frames, block.expect).groups
    said = zip(groups, frames, strict=True)
    lines = (f"{listed(group, 16)}: {len(frame)} bytes; {picture.vnet_words(frame)}" for group, frame in said)
    _listing(page, Listing(tuple(lines), "frames", 4))


def _table(page: Page, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    table = page.terminal.table(*columns, numbers=numbers)
    for row in rows:
        table.add_row(*map(Text, row))
    page.table(table)


_DRAW: dict[type, Callable[[Page, Any], None]] = {
    Prose: _prose,
    Verbatim: _verbatim,
    Listing: _listing,
    More: _more,
    Dump: _dump,
    Rows: _rows,
    Drawing: _drawing,
    Changes: _changes,
    Example: _example,
}


# What kernels differ in, and why it matters.


def _traits(page: Page, case: Case, corpus: Corpus) -> None:
    for name in sorted(case.traits):
        trait = corpus.traits[name]
        page.say(f"{name}: {trait.description} Linux {trait.since} ({trait.commit}).", 2, style="dim")


def _flags(page: Page, case: Case, corpus: Corpus) -> None:
    for name in case.flags:
        flag = corpus.flags[name]
        page.say(f"{name}: {flag.description}", 2)
        page.say(f"effect: {flag.effect}", 4)
        for link in flag.links:
            page.draw(link, 4)


def _about(page: Page, case: Case) -> None:
    for basis in case.basis:
        page.say(f"basis, {_BASIS[basis.kind]}: {basis.ref}", 2)
    for name in case.requires:
        page.say(f"requires {name}: {CAPABILITIES.get(name, 'unknown')}", 2)
    if case.sibling:
        page.say(f"valid sibling: {case.sibling}", 2)
    if case.kernel:
        page.say(f"confirmed on: {', '.join(case.confirmed) or 'nothing yet'}", 2)
    page.say(f"reach {case.reach}: {wording.what_reach_means(case.reach)}", 2)
    for one in case.reached:
        page.say(wording.handed_over(one), 4)
    page.say(f"digest of input and outcomes: {case.digest}", 2)
