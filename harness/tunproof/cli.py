"""The command: it parses, calls, prints, and turns errors into exit codes.

0 as expected; 1 a kernel, implementation or case disagrees; 2 usage, also a selection that matches nothing; 3 the
environment does not allow it.
"""

import errno
import json
import sys
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from tunproof.kernel import KernelReport

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
        raise UsageError(f"{select!r} selects no case that can be put to this kernel: {_reasons(report)}")
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
    from tunproof import reference
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    if subject != "reference":
        raise UsageError(f"there is no subject {subject!r}; there is 'reference'")
    cases = load().select(select)
    report = reference.check(cases)
    if as_json:
        verdicts = Counter(verdict.kind.value for _, verdict in report.failures)
        verdicts["pass"] = report.cases - len(report.failures)
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
) -> None:
    """Show one case: the picture of the cut, the fields, the bytes, why it matters."""
    from tunproof.caseview import show as show_case
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    corpus = load()
    if case_id not in corpus.cases:
        raise UsageError(_no_such_case(case_id, list(corpus.cases)))
    show_case(Terminal(), corpus.cases[case_id], corpus)


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
def list_cases(*, select: Select = "*", as_json: AsJson = False) -> None:
    """List the cases, one a line."""
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    cases = load().select(select)
    if as_json:
        _print_json({"cases": [{"id": case.id, "about": case.about, "flags": case.flags} for case in cases]})
    else:
        Terminal().listing(cases)


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
    from tunproof.terminal import Terminal

    root = checkout()
    lab.ensure()
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        files = build(root, topics=topics, confirm=not check_only, progress=tick)
    if not files:
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


def _reasons(report: "KernelReport") -> str:
    return "; ".join(sorted(set(report.not_applicable.values())))


def _no_such_case(case_id: str, ids: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(case_id, ids, n=3, cutoff=0.5)
    hint = "; near it: " + ", ".join(near) if near else "; `tunproof corpus list` has them all"
    return f"there is no case {case_id!r}{hint}"
