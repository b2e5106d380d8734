"""The command: it parses, calls, prints, and turns errors into exit codes.

0 as expected; 1 a kernel, implementation or case disagrees; 2 usage, also a selection that matches nothing; 3 the
environment does not allow it.
"""

import errno
import json
import sys
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tunproof.errors import EnvironmentProblem, TunproofError, UsageError
from tunproof.streams import discard_output, prepare_streams
from tunproof.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    help="Proves whether a TUN offload implementation, or a Linux kernel, handles superpackets right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
corpus_app = typer.Typer(help="The golden cases.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")

INTERRUPTED = 130
"""What the shell's convention and typer make of Ctrl-C: 128 and the signal's number."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Select = Annotated[
    str, typer.Option("--select", metavar="GLOB", help="Only cases whose id matches, such as 'read/tcp4/*'.")
]


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Show what this machine can test, what is missing, and how to get it."""
    from tunproof.doctor import Status, examine
    from tunproof.terminal import Terminal

    checks = examine()
    if as_json:
        _print_json(
            {"checks": [{"name": c.name, "status": c.status.value, "detail": c.detail, "cure": c.cure} for c in checks]}
        )
    else:
        Terminal().checks(checks)
    if any(check.status is Status.MISSING for check in checks):
        raise typer.Exit(3)


@app.command()
def kernel(*, select: Select = "*", as_json: AsJson = False) -> None:
    """Is this kernel right? Put the corpus through real TUN devices and compare every byte."""
    from tunproof import lab
    from tunproof.corpus.load import load
    from tunproof.kernel import verify
    from tunproof.terminal import Terminal

    lab.ensure()
    cases = load().select(select)
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        report = verify(cases, progress=tick)
    if len(report.not_applicable) == report.cases:
        raise UsageError(
            f"{select!r} selects no case that can be put to this kernel: {_reasons(report.not_applicable)}"
        )
    if as_json:
        _print_json(
            {
                "kernel": report.kernel,
                "cases": report.cases,
                "agree": report.agree,
                "disagree": [item.case.id for item in report.disagreements],
                "not_applicable": len(report.not_applicable),
                "seconds": round(report.seconds, 3),
            }
        )
    else:
        terminal.kernel_report(report, cases)
    if report.disagreements:
        raise typer.Exit(1)


@app.command()
def check(
    subject: Annotated[str, typer.Argument(help="What to check: 'reference'.")],
    *,
    select: Select = "*",
    as_json: AsJson = False,
) -> None:
    """Is this implementation right? So far the only subject is the reference."""
    from tunproof import lab, reference
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    if subject != "reference":
        raise UsageError(f"there is no subject {subject!r}; there is 'reference'")
    cases = load().select(select)
    if any("lifecycle.device" in case.requires for case in cases):
        with suppress(EnvironmentProblem):  # without a lab these cases are unsupported, and the report says why
            lab.ensure()
    report = reference.check(cases)
    if len(report.unsupported) == report.cases:
        raise UsageError(f"{select!r} selects no case that can be put to it here: {_reasons(report.unsupported)}")
    if as_json:
        verdicts = Counter(verdict.kind.value for _, verdict in report.failures)
        verdicts["unsupported"] = len(report.unsupported)
        verdicts["pass"] = report.cases - len(report.failures) - len(report.unsupported)
        _print_json(
            {
                "subject": subject,
                "cases": report.cases,
                "verdicts": {name: number for name, number in verdicts.items() if number},
                "unexpected": [{"id": case.id, "verdict": verdict.kind.value} for case, verdict in report.failures],
                "seconds": round(report.seconds, 3),
            }
        )
    else:
        Terminal().reference_report(report, cases)
    if report.failures:
        raise typer.Exit(1)


@app.command()
def show(
    case_id: Annotated[
        str, typer.Argument(metavar="ID", help="A case id, such as read/tcp4/cwr-on-first-segment-only.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one case: what goes in, the picture of the cut, what kernels do, why it matters."""
    from tunproof import caseview
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    corpus = load()
    if case_id not in corpus.cases:
        raise UsageError(_no_such_case(case_id, list(corpus.cases)))
    case = corpus.cases[case_id]
    if as_json:
        _print_json(caseview.as_json(case, corpus))
    else:
        caseview.show(Terminal(), case, corpus)


@app.command()
def bench(*, as_json: AsJson = False) -> None:
    """Measure rates side by side with the floor, in one run."""
    from tunproof import lab
    from tunproof.bench import measure
    from tunproof.terminal import Terminal

    lab.ensure()
    terminal = Terminal()
    with terminal.progress("bench") as tick:
        rates = measure(progress=lambda done, total, what: tick(done, total, note=what))
    if as_json:
        _print_json(rates.as_json())
    else:
        terminal.rates(rates)


@corpus_app.command("list")
def list_cases(
    *,
    select: Select = "*",
    op: Annotated[str | None, typer.Option("--op", metavar="OP", help="Only this operation, such as read.")] = None,
    flag: Annotated[
        str | None, typer.Option("--flag", metavar="NAME", help="Only cases that guard against this class of bugs.")
    ] = None,
    requires: Annotated[
        str | None, typer.Option("--requires", metavar="NAME", help="Only cases that require this capability.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the cases, one a line."""
    from tunproof.corpus.load import load
    from tunproof.corpus.stats import only
    from tunproof.terminal import Terminal

    cases = only(load().select(select), op=op, flag=flag, requires=requires)
    if as_json:
        keys = ("id", "about", "flags", "requires", "level", "importance")
        _print_json({"cases": [{key: getattr(case, key) for key in keys} for case in cases]})
    else:
        Terminal().listing(cases)


@corpus_app.command("stats")
def corpus_stats(*, as_json: AsJson = False) -> None:
    """Count the cases: operations, topics, flags, traits, capabilities, sizes."""
    from tunproof.corpus.stats import count
    from tunproof.terminal import Terminal

    stats = count()
    if as_json:
        _print_json(stats.as_json())
    else:
        Terminal().stats(stats)


@corpus_app.command("lint")
def lint_corpus(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="The folder of a corpus; without it the installed one.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a corpus: exit 1 with file, case, field and reason for each finding."""
    from tunproof.corpus.lint import lint
    from tunproof.corpus.load import CORPORA
    from tunproof.terminal import Terminal

    findings = lint(path or CORPORA)
    if as_json:
        _print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        Terminal().findings(findings)
    if findings:
        raise typer.Exit(1)


@corpus_app.command("schema")
def print_schema(
    op: Annotated[str | None, typer.Argument(metavar="[OP]", help="An operation; without it all of them.")] = None,
) -> None:
    """Print the JSON Schema of the files of an operation, or one object with all of them."""
    from tunproof.corpus.schema import case_types, schema_of

    if op is not None and op not in case_types():
        raise UsageError(f"there is no operation {op!r}; there are {', '.join(case_types())}")
    _print_json(schema_of(op) if op is not None else {name: schema_of(name) for name in case_types()})


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
    """Write the cases for others: as a capture, or as a folder that needs no tunproof."""
    from tunproof.corpus.export import export_folder, export_pcapng
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    if pcapng is None and folder is None:
        raise UsageError("say where to: --pcapng FILE, --dir DIR, or both")
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
    check_only: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where a file would change.")
    ] = False,
) -> None:
    """Record the cases from the running kernel. In a checkout only."""
    from tunproof import lab
    from tunproof.corpus.build import build, checkout, differing, write
    from tunproof.corpus.load import GOLDEN
    from tunproof.terminal import Terminal

    root = checkout()
    lab.ensure()
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        files = build(root, topics=topics, confirm=not check_only, progress=tick)
    if not any(path.parent.parent.name == GOLDEN for path in files):
        raise UsageError(f"no topic matches {topics!r}")
    changed = [path.relative_to(root) for path in differing(files, root, topics)]
    for path in changed:
        terminal.out.print(f"{'would change' if check_only else 'changed'}: {path}")
    if not check_only:
        write(files, root, topics)
    terminal.out.print(f"{len(files)} files, {len(changed)} {'differ' if check_only else 'changed'}")
    if check_only and changed:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command and exit: the console script."""
    prepare_streams()
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _complain("interrupted; nothing is left behind")
        raise
    except TunproofError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        cure = "free some space" if error.errno == errno.ENOSPC else "`tunproof doctor` tries what this machine allows"
        _complain(str(EnvironmentProblem(str(error), cure=cure)))
        sys.exit(EnvironmentProblem.exit_code)
    except Exception:  # noqa: BLE001 (exit code 1 is a verdict, and a crash of ours is none)
        traceback.print_exc()
        _complain("this is a bug of tunproof, not a verdict: please report what stands above")
        sys.exit(EnvironmentProblem.exit_code)


def _complain(text: str) -> None:
    print(f"tunproof: {text}", file=sys.stderr)


def _print_json(value: object) -> None:
    """Print one object. A reader that has gone away changes nothing about the verdict, so neither the exit code."""
    try:
        print(json.dumps(value, indent=2 if sys.stdout.isatty() else None), flush=True)
    except BrokenPipeError:
        discard_output()


def _reasons(reasons: dict[str, str]) -> str:
    return "; ".join(sorted(set(reasons.values())))


def _no_such_case(case_id: str, ids: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(case_id, ids, n=3, cutoff=0.5)
    hint = "; near it: " + ", ".join(near) if near else "; `tunproof corpus list` has them all"
    return f"there is no case {case_id!r}{hint}"
