"""`tunproof corpus`: list, count, check, export and record the cases, and promote findings to cases."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunproof.cli.options import AsJson, Flag, Level, Op, Reach, Select, print_json
from tunproof.errors import UsageError

if TYPE_CHECKING:
    from tunproof.cli.terminal import Terminal

__all__ = ["corpus_app"]

corpus_app = typer.Typer(help="The golden cases.", no_args_is_help=True)


@corpus_app.command("list")
def list_cases(  # noqa: PLR0913 (each is an option of the command)
    *,
    select: Select = "*",
    op: Op = None,
    flag: Flag = None,
    level: Level = None,
    reach: Reach = None,
    requires: Annotated[
        str | None, typer.Option("--requires", metavar="NAME", help="Only cases that require this capability.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the cases, one per line."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load
    from tunproof.corpus.stats import only

    cases = only(load().select(select), op=op, flag=flag, level=level, reach=reach, requires=requires)
    if as_json:
        keys = ("id", "about", "flags", "requires", "level", "importance", "reach")
        print_json({"cases": [{key: getattr(case, key) for key in keys} for case in cases]})
    else:
        Terminal().listing(cases)


@corpus_app.command("stats")
def corpus_stats(*, as_json: AsJson = False) -> None:
    """Count the cases by operation, topic, flag, trait, capability and size."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.stats import count

    stats = count()
    if as_json:
        print_json(stats.as_json())
    else:
        Terminal().stats(stats)


@corpus_app.command("lint")
def lint_corpus(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="The folder of a corpus (default: the installed one).")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find mistakes in a corpus: exit 1 with file, case, field and reason for each finding."""
    from tunproof.authoring.lint import lint
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import CORPORA

    findings = lint(path or CORPORA)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        Terminal().findings(findings)
    if findings:
        raise typer.Exit(1)


@corpus_app.command("schema")
def print_schema(
    op: Annotated[str | None, typer.Argument(metavar="[OP]", help="An operation (default: all).")] = None,
) -> None:
    """Print the JSON Schema for the files of an operation, or one object with all of the schemas."""
    from tunproof.corpus.schema import case_types, schema_of

    if op is not None and op not in case_types():
        raise UsageError(f"there is no operation {op!r}; there are {', '.join(case_types())}")
    print_json(schema_of(op) if op is not None else {name: schema_of(name) for name in case_types()})


@corpus_app.command("export")
def export_corpus(
    *,
    pcapng: Annotated[
        Path | None, typer.Option("--pcapng", metavar="FILE", help="A capture for Wireshark and tshark.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="A folder with cases, schemas and manual, to vendor.")
    ] = None,
    select: Select = "*",
) -> None:
    """Write the cases for other tools: as a capture, or as a folder that works without tunproof."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.export import export_folder, export_pcapng
    from tunproof.corpus.load import load

    if pcapng is None and folder is None:
        raise UsageError("say where to write: --pcapng FILE, --dir DIR, or both")
    corpus = load()
    cases = corpus.select(select)
    terminal = Terminal()
    if pcapng is not None:
        terminal.say(f"{pcapng}: {export_pcapng(pcapng, cases)} packets")
    if folder is not None:
        terminal.say(f"{folder}: {len(export_folder(folder, cases, corpus))} files")


@corpus_app.command("build")
def build_corpus(
    *,
    topics: Annotated[
        str, typer.Option("--topics", metavar="GLOB", help="Only these operations and topics, such as 'read/*'.")
    ] = "*",
    matrix: Annotated[
        Path | None,
        typer.Option(
            "--from-matrix",
            metavar="DIR",
            help="Add the kernels of a matrix run to the cases they confirm or hand over.",
        ),
    ] = None,
    check_only: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")] = False,
) -> None:
    """Record the cases from the running kernel. In a checkout only."""
    from tunproof import lab
    from tunproof.authoring.build import KERNELS, Elsewhere, build, checkout
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import GOLDEN, load_for_good
    from tunproof.matrix.confirm import seen_in
    from tunproof.matrix.markdown import markdown

    root = checkout()
    seen = None if matrix is None else seen_in(matrix, load_for_good())
    lab.ensure()
    terminal = Terminal()
    elsewhere = Elsewhere() if seen is None else Elsewhere(passed=seen.passed, handed=seen.handed)
    with terminal.progress("cases") as tick:
        files = build(root, topics=topics, confirm=not check_only, elsewhere=elsewhere, progress=tick)
    if seen is not None:
        for one in seen.incomplete:
            terminal.say(f"{one.release} is left out, because it was not tested completely: {one.problem}")
        files[root / KERNELS] = markdown(seen.kernels, load_for_good()).encode()
    if not any(path.parent.parent.name == GOLDEN for path in files):
        raise UsageError(f"no topic matches {topics!r}")
    if _settle(terminal, files, root, topics, check_only=check_only) and check_only:
        raise typer.Exit(1)


def _settle(terminal: "Terminal", files: dict[Path, bytes], root: Path, topics: str, *, check_only: bool) -> bool:
    """Write what was built, unless it is only to be checked, and return whether it differs from what is there."""
    from tunproof.authoring.build import differing, write

    would_change, differ = ("would change", "differ") if check_only else ("changed", "changed")
    changed = [path.relative_to(root) for path in differing(files, root, topics)]
    for path in changed:
        terminal.out.print(f"{would_change}: {path}")
    if not check_only:
        write(files, root, topics)
    terminal.out.print(f"{len(files)} files, {len(changed)} {differ}")
    return bool(changed)


@corpus_app.command("promote")
def promote_finding(
    finding: Annotated[Path, typer.Argument(metavar="FINDING", help="The folder of a finding, or its finding.json.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A new file for the code (default: print it).")
    ] = None,
) -> None:
    """Turn a finding into author code, for harness/tunproof/authoring/authors. In a checkout only."""
    from tunproof.authoring.build import checkout
    from tunproof.authoring.promote import promote, write_new
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load
    from tunproof.runs.findings import load as load_finding

    checkout()
    promoted = promote(load_finding(finding), load())
    if out is None:
        print(promoted.code, end="")
        return
    write_new(out, promoted.code)
    Terminal().say(f"{out}: {promoted.id}")
