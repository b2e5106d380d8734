"""`tunproof matrix run`: options in, tables and exit code out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunproof.cli.options import AsJson, Select, print_json
from tunproof.errors import INTERRUPTED, EnvironmentProblem, UsageError

if TYPE_CHECKING:
    from tunproof.cli.terminal import Terminal
    from tunproof.matrix.compare import Row
    from tunproof.matrix.conduct import Conducted, KernelResult, Wanted
    from tunproof.matrix.kernels import Kernel

__all__ = ["run_kernels"]

_MOST_NAMES = 20


def run_kernels(  # noqa: PLR0913 (each is an option of the command)
    *,
    kernels: Annotated[
        str | None,
        typer.Option("--kernels", metavar="LIST", help="Series, versions or releases, comma-separated (default: all)."),
    ] = None,
    kernel: Annotated[Path | None, typer.Option("--kernel", metavar="PATH", help="A bzImage that you built.")] = None,
    modules: Annotated[
        Path | None, typer.Option("--modules", metavar="DIR", help="Its modules: the folder that contains kernel/.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=0, metavar="N", help="Random frames per kernel.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random frames.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="J", help="Guests at a time.")] = 2,
    select: Select = "*",
    report: Annotated[
        Path, typer.Option("--report", metavar="DIR", help="Folder for results, consoles, findings and the page.")
    ] = Path("tunproof-matrix"),
    cache: Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Where kernels are kept.")] = None,
    as_json: AsJson = False,
) -> None:
    """Boot kernels in QEMU, run the corpus and random frames on each, and say where they differ, and why."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load_for_good
    from tunproof.kernel.replay import frames_of
    from tunproof.matrix import machine
    from tunproof.matrix.compare import differing, oldest_first
    from tunproof.matrix.conduct import Wanted
    from tunproof.matrix.examine import differential
    from tunproof.matrix.kernels import cache_folder, in_cache
    from tunproof.matrix.publish import clear, publish

    machine.ensure()
    if kernel is None and modules is None:
        chosen = _chosen(in_cache((cache or cache_folder()).absolute()), kernels)
    else:
        chosen = [_own(kernel, modules, kernels)]
    corpus = load_for_good()
    asked = corpus.narrowed(select)
    cases = list(asked.cases.values())
    if frames:
        differential()
    elif not any(frames_of(case) for case in cases):
        raise UsageError(f"nothing to run: no case in {select!r} applies to kernels, and --frames is 0")
    wanted = Wanted(corpus=corpus, cases=cases, select=select, frames=frames, seed=seed, out=report.absolute())
    clear(wanted.out)
    terminal = Terminal()
    conducted = _conduct(terminal, chosen, wanted, jobs=jobs, quiet=as_json)
    results = oldest_first(conducted.results)
    rows = differing(results, asked)
    if as_json:
        print_json(_as_json(results, rows) | {"interrupted": conducted.interrupted})
    else:
        _tables(terminal, results, rows)
        _unexplained(terminal, results, wanted.out)
    page = publish(wanted.out, results, asked)
    if not as_json:
        terminal.say(f"report: {page}")
    if code := _exit_code(conducted):
        raise typer.Exit(code)


def _chosen(there: "Sequence[Kernel]", names: str | None) -> "list[Kernel]":
    """Return the chosen kernels: all, or the newest match of each name; of several builds of a release, the newest."""
    there = list({one.release: one for one in there}.values())
    if names is None:
        if not there:
            raise EnvironmentProblem("there is no kernel in the cache", cure="run `tunproof matrix fetch`")
        return there
    wanted = dict.fromkeys(names.replace(",", " ").split())
    if not wanted:
        raise UsageError("--kernels is empty; name some, such as 6.12,7.3, or omit it")
    return list(dict.fromkeys(_newest(name, there) for name in wanted))


def _newest(name: str, there: "Sequence[Kernel]") -> "Kernel":
    """Return the newest kernel that matches a series, version or release. Raises `EnvironmentProblem`."""
    fits = [one for one in there if name in {one.release, one.version} or one.version.startswith(f"{name}.")]
    if not fits:
        raise EnvironmentProblem(f"there is no kernel {name} in the cache", cure=f"run `tunproof matrix fetch {name}`")
    return fits[-1]


def _own(image: Path | None, modules: Path | None, names: str | None) -> "Kernel":
    """Return the kernel that the user built."""
    from tunproof.matrix.kernels import own

    if image is None:
        raise UsageError("--modules needs --kernel")
    if names is not None:
        raise UsageError("--kernels selects kernels in the cache: it cannot be combined with --kernel")
    return own(image, modules)


def _conduct(
    terminal: "Terminal", chosen: "Sequence[Kernel]", wanted: "Wanted", *, jobs: int, quiet: bool
) -> "Conducted":
    """Test the kernels, with progress notes, and a line for each finished kernel unless `quiet`."""
    from tunproof.matrix.conduct import conduct

    doing: dict[str, str] = {}
    finished: list[str] = []
    with terminal.progress("kernels") as tick:

        def tell(release: str, what: str) -> None:
            doing[release] = what
            if not what:
                del doing[release]
            note = "; ".join(f"{name} {what}".strip() for name, what in list(doing.items()))  # threads add to it
            tick(len(finished), len(chosen), note=note)

        def done(result: "KernelResult") -> None:
            finished.append(result.release)
            doing.pop(result.release, None)
            if not quiet:
                terminal.say(_line(result))

        conducted = conduct(chosen, wanted, jobs=jobs, progress=tell, done=done)
    for one in conducted.results:
        if one.release not in finished and not quiet:
            terminal.say(_line(one))
    return conducted


def _exit_code(conducted: "Conducted") -> int:
    if conducted.interrupted:
        return INTERRUPTED
    if any(one.differences for one in conducted.results):
        return 1
    return 3 if any(one.problem for one in conducted.results) else 0


def _line(one: "KernelResult") -> str:
    frames = one.frames
    words = [f"{one.agree} of {one.asked} cases agree"] if one.cases else []
    if frames:
        words.append(f"{frames.frames} frames, {frames.differences} differences")
    if one.boots > 1:
        words.append(f"booted {one.boots} times")
    if one.problem:
        words.append(f"incomplete: {one.problem}")
    return f"{one.release}: {'; '.join(words)} ({one.seconds:g} s)"


def _tables(terminal: "Terminal", results: "Sequence[KernelResult]", rows: "Sequence[Row]") -> None:
    from tio.linux import ABOUT
    from tunproof.matrix.compare import names, regressions

    probed = [one for one in results if one.cases]
    if not probed:
        return
    if rows:
        _cases_table(terminal, probed, rows)
    _traits_table(terminal, probed)
    name = names(probed)
    for trait, having in regressions(probed):
        terminal.say(f"{trait} ({', '.join(name[one.release] for one in having)}) {ABOUT[trait].symptom}")


def _cases_table(terminal: "Terminal", probed: "Sequence[KernelResult]", rows: "Sequence[Row]") -> None:
    from tunproof.matrix.compare import UNEXPLAINED, grouped, names

    terminal.say(f"\nCases on which they differ: {len(rows)}, grouped by their answers:")
    table = terminal.table("cases", "example", "because of", *names(probed).values())
    for group in grouped(rows):
        because = ", ".join(group.because) or UNEXPLAINED
        table.add_row(str(len(group.cases)), group.cases[0].id, because, *group.answers.values())
    terminal.out.print(table)


def _traits_table(terminal: "Terminal", probed: "Sequence[KernelResult]") -> None:
    """Print the traits in which the kernels differ; those of a single one, all of them."""
    from tunproof.kernel.probes import PROBES
    from tunproof.matrix.compare import names, traits_that_differ

    several = len(probed) > 1
    table = terminal.table("trait", *names(probed).values())
    for trait in traits_that_differ(probed) if several else PROBES:
        table.add_row(trait, *(_known(trait, one) for one in probed))
    terminal.say("\nTraits in which they differ:" if several else "\nTraits:")
    terminal.out.print(table)


def _known(trait: str, one: "KernelResult") -> str:
    if trait in one.unknown:
        return "?"
    return "yes" if trait in one.traits else "-"


def _unexplained(terminal: "Terminal", results: "Sequence[KernelResult]", folder: Path) -> None:
    """List what is unexplained: cases, and folders of findings."""
    from tunproof.matrix.conduct import FINDINGS

    for one in results:
        if one.differences:
            terminal.say(f"\nUnexplained on {one.release}:")
        for case_id in one.disagree[:_MOST_NAMES]:
            terminal.say(f"  {case_id}")
        if len(one.disagree) > _MOST_NAMES:
            terminal.say(f"  and {len(one.disagree) - _MOST_NAMES} more cases, in the report")
        for name in one.frames.findings if one.frames else ():
            terminal.say(f"  {folder / one.release / FINDINGS / name}")


def _as_json(results: "Sequence[KernelResult]", rows: "Sequence[Row]") -> dict[str, object]:
    import msgspec

    from tunproof.matrix.compare import departures, unexplained

    return {
        "kernels": [
            msgspec.to_builtins(one) | {"departures": dict(departures(one)) if one.cases else {}} for one in results
        ],
        "differing": [{"id": row.case.id, "because": list(row.because), "answers": row.answers} for row in rows],
        "unexplained": unexplained(results),
        "incomplete": [one.release for one in results if one.problem],
    }
