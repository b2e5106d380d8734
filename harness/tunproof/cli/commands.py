"""The commands: they parse, call and print, and turn errors into exit codes.

0 as expected; 1 a kernel, implementation or case disagrees; 2 usage error, including a selection that matches nothing;
3 the environment does not allow it.
"""

import errno
import shlex
import sys
import traceback
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunproof.cli.corpus import corpus_app
from tunproof.cli.matrix import matrix_app
from tunproof.cli.options import AsJson, Flag, Level, Op, Reach, Select, narrowing, print_json, print_text
from tunproof.errors import INTERRUPTED, EnvironmentProblem, TunproofError, UsageError
from tunproof.streams import prepare_streams
from tunproof.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunproof.cli.terminal import Terminal
    from tunproof.reports.failure import Explanations
    from tunproof.runs.results import Results

__all__ = ["app", "main"]

app = typer.Typer(
    help="Proves whether a TUN offload implementation, or a Linux kernel, handles superpackets correctly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(corpus_app, name="corpus")
app.add_typer(matrix_app, name="matrix")

Report = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write results, page, JUnit, summary and captures here.")
]


@app.callback()
def _remember(ctx: typer.Context) -> None:
    """Keep the command line: by the time a command gets its arguments, `--` is gone."""
    ctx.obj = sys.argv[1:]


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Show what this machine can test, what is missing, and how to get it."""
    from tunproof.cli.doctor import Status, examine
    from tunproof.cli.terminal import Terminal

    checks = examine()
    if as_json:
        print_json(
            {"checks": [{"name": c.name, "status": c.status.value, "detail": c.detail, "cure": c.cure} for c in checks]}
        )
    else:
        Terminal().checks(checks)
    if any(check.status is Status.MISSING for check in checks):
        raise typer.Exit(3)


@app.command()
def kernel(*, select: Select = "*", report: Report = None, as_json: AsJson = False) -> None:
    """Is this kernel right? Send the corpus through real TUN devices and compare every byte."""
    from tunproof import lab
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load_for_good
    from tunproof.kernel import describe
    from tunproof.reports.failure import Explanations
    from tunproof.runs.kernel import verify
    from tunproof.runs.results import keep
    from tunproof.runs.runner import why_nothing_ran

    lab.ensure()
    corpus = load_for_good()
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        results, probed = verify(corpus, select, progress=tick)
    if reasons := why_nothing_ran(results.results.values()):
        raise UsageError(f"{select!r} selects no case that can be run on this kernel: {reasons}")
    explanations = Explanations(results, corpus)
    if report is not None:
        from tunproof.reports.write import write_reports

        keep(report, results)
        write_reports(report, explanations)
    if as_json:
        print_json(_kernel_json(results) | describe.as_json(probed))
    else:
        terminal.kernel_report(explanations, probed)
        _say_where(terminal, report)
    if results.unexpected():
        raise typer.Exit(1)


@app.command()
def check(  # noqa: PLR0913 (each option is one of the command's)
    ctx: typer.Context,
    subject: Annotated[
        list[str], typer.Argument(metavar="SUBJECT", help="reference, python:MODULE:FACTORY, or -- COMMAND...")
    ],
    *,
    select: Select = "*",
    op: Op = None,
    flag: Flag = None,
    level: Level = None,
    reach: Reach = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Advice counts: cases of level should fail the run, too.")
    ] = False,
    max_failures: Annotated[
        int | None, typer.Option("--max-failures", min=1, metavar="N", help="Stop after so many failures.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop after the first failure.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the last line only.")] = False,
    baseline: Annotated[Path | None, typer.Option("--baseline", metavar="FILE", help="Known failures (TOML).")] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Print a baseline of the failures, and nothing else.")
    ] = False,
    report: Report = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the results in the --report folder.")] = False,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="How frames reach the implementation.")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="How often to run each case, to find flaky ones.")] = 1,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds the adapter has to reply.")] = 2.0,
    start_deadline: Annotated[
        float, typer.Option("--start-deadline", help="Seconds the adapter has to say hello.")
    ] = 30.0,
    memory: Annotated[int, typer.Option("--memory", help="MiB the adapter may use.")] = 1024,
    restarts: Annotated[int, typer.Option("--restarts", min=0, help="How often the adapter may be restarted.")] = 100,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="The most runs in one message.")] = None,
    as_json: AsJson = False,
) -> None:
    """Is this implementation right? Run the corpus against it, and say which cases fail, and why."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load_for_good
    from tunproof.reports.failure import Explanations
    from tunproof.runs import check as checking
    from tunproof.subjects.adapters.process import Limits
    from tunproof.subjects.connect import connector_of, mode_of

    connector = replace(
        connector_of(subject, behind_dashes="--" in ctx.obj),
        mode=mode_of(mode),
        limits=Limits(start=start_deadline, answer=deadline, memory=memory << 20, restarts=restarts, renewals=restarts),
        batch=batch,
    )
    request = checking.Request(
        connector=connector,
        select=select,
        only=narrowing(op=op, flag=flag, level=level, reach=reach),
        strict=strict,
        most_failures=1 if fail_fast else max_failures,
        baseline=baseline,
        report=report,
        resume=resume,
        repeat=repeat,
    )
    if write_baseline and (select != "*" or request.only or request.most_failures):
        raise UsageError("a baseline covers the whole corpus: omit what selects cases, or stops early")
    corpus = load_for_good()
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        results = checking.check(request, corpus, progress=tick)
    explanations = Explanations(results, corpus)
    if report is not None:
        from tunproof.reports.write import write_reports

        write_reports(report, explanations)
    checking.require_a_case_that_ran(results, select)
    if write_baseline:
        from tunproof.runs.baseline import Baseline, dump

        print_text(dump(results, None if baseline is None else Baseline.load(baseline)))
        return
    _tell(terminal, explanations, report=report, as_json=as_json, quiet=quiet)


@app.command("report")
def report_of(
    streams: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Result streams, or folders written by --report.")
    ],
    *,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the page.")] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="OLD", help="An older run to compare with: exit 1 if this one is worse."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show several runs side by side on one page, or compare a run with an older one."""
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load
    from tunproof.reports.write import write_page
    from tunproof.runs.results import read

    if (out is None) == (against is None):
        raise UsageError("say where the page goes (--out DIR), or which older run to compare with (--against OLD)")
    runs = [read(stream) for stream in streams]
    terminal = Terminal()
    if out is None:
        assert against is not None  # noqa: S101 (one of the two is given)
        _compare(terminal, read(against), runs, as_json=as_json)
        return
    terminal.say(f"{write_page(out, runs, load())}: {len(runs)} runs side by side")


@app.command()
def show(
    case_id: Annotated[
        str, typer.Argument(metavar="ID", help="A case id, such as read/tcp4/cwr-on-first-segment-only.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one case: its input, a picture of the segmentation, what kernels do, and why it matters."""
    from tunproof.cli import show as caseview
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load

    corpus = load()
    if case_id not in corpus.cases:
        raise UsageError(_no_such_case(case_id, list(corpus.cases)))
    case = corpus.cases[case_id]
    if as_json:
        print_json(caseview.as_json(case, corpus))
    else:
        caseview.show(Terminal(), case, corpus)


@app.command()
def bench(*, as_json: AsJson = False) -> None:
    """Measure rates in one run, and compare them with bare system calls."""
    from tunproof import lab
    from tunproof.cli.bench import measure
    from tunproof.cli.terminal import Terminal

    lab.ensure()
    terminal = Terminal()
    with terminal.progress("bench") as tick:

        def note(done: int, total: int, what: str) -> None:
            tick(done, total, note=what)

        rates = measure(progress=note)
        points = entry_points(group="tunproof.benchmarks")
        figures = [figure for point in points for figure in point.load()(progress=note)]
    if as_json:
        print_json(rates.as_json() | {figure.name: round(figure.value, 3) for figure in figures})
    else:
        terminal.rates(rates, figures)


@app.command("kit")
def print_kit(language: Annotated[str, typer.Argument(help="python, go, rust or c.")]) -> None:
    """Print an adapter to start from: tunproof kit go > adapter.go."""
    from tunproof.protocol.kit import kit

    print_text(kit(language))


@app.command("protocol")
def print_protocol(
    *, schema: Annotated[bool, typer.Option("--schema", help="Print JSON Schemas: runner, adapter, results.")] = False
) -> None:
    """Print the protocol between tunproof and adapters, for people or for programs."""
    from tunproof.protocol import messages, text
    from tunproof.runs import results

    if schema:
        print_json({**messages.schemas(), "results": results.schema()})
    else:
        print_text(text.markdown())


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _add_commands() -> None:
    """Let other packages add their commands through entry points: this one does not know about tunfuzz."""
    for point in entry_points(group="tunproof.commands"):
        point.load()(app)


def main() -> None:
    """Run a command and exit: the console script."""
    prepare_streams()
    try:
        _add_commands()
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _complain("interrupted; no process is left behind")
        raise
    except TunproofError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        cure = "free some space" if error.errno == errno.ENOSPC else "`tunproof doctor` shows what this machine allows"
        _complain(str(EnvironmentProblem(str(error), cure=cure)))
        sys.exit(EnvironmentProblem.exit_code)
    except BaseException:  # noqa: BLE001 (exit code 1 is a verdict; a crash of ours is not)
        traceback.print_exc()
        _complain("this is a bug in tunproof, not a verdict: please report the trace above")
        sys.exit(EnvironmentProblem.exit_code)


def _compare(terminal: "Terminal", then: "Results", runs: "Sequence[Results]", *, as_json: bool) -> None:
    """Print how a run differs from an older one, and exit with 1 if it is worse."""
    from tunproof.reports.comparison import as_values, lines
    from tunproof.runs.compare import compared

    if len(runs) != 1:
        raise UsageError("--against compares one run with an older one: name one")
    found = compared(then, runs[0])
    if as_json:
        print_json(as_values(found))
    else:
        for line in lines(found):
            terminal.say(line)
    if found.is_worse:
        raise typer.Exit(1)


def _tell(
    terminal: "Terminal", run: "Explanations", *, report: Path | None, as_json: bool, quiet: bool = False
) -> None:
    """Print what a run found, and exit with its exit code."""
    import msgspec

    from tunproof.runs.results import Problem

    results = run.results
    unexpected = results.unexpected()
    if as_json:
        print_json(
            {
                "subject": results.run.subject,
                "mode": results.run.mode,
                "cases": len(results.results),
                "verdicts": results.verdicts(),
                "unexpected": [
                    {"id": one.id, "verdict": one.what if isinstance(one, Problem) else one.verdict.value}
                    for one in unexpected
                ],
                "causes": [msgspec.to_builtins(cause) for cause in results.causes],
                "seconds": results.end.seconds if results.end else None,
            }
        )
    elif quiet:
        terminal.end(results)
    else:
        terminal.check_report(run)
        _say_where(terminal, report)
        _say_what_next(terminal, results)
    if unexpected:
        raise typer.Exit(1)


def _kernel_json(results: "Results") -> dict[str, object]:
    """Return the figures of a kernel under their original names."""
    verdicts = results.verdicts()
    return {
        "kernel": results.run.kernel,
        "cases": len(results.results),
        "agree": verdicts.get("pass", 0),
        "disagree": [one.id for one in results.results.values() if one.unexpected],
        "not_applicable": verdicts.get("not-applicable", 0),
        "seconds": results.end.seconds if results.end else None,
    }


def _say_where(terminal: "Terminal", report: Path | None) -> None:
    if report is not None:
        terminal.say(f"reports: {report / 'index.html'}, junit.xml, summary.md, results.jsonl")


def _say_what_next(terminal: "Terminal", results: "Results") -> None:
    """Recommend the fuzzer, if there is one, to whoever has nothing left to mend and is not the reference itself."""
    run = results.run
    if results.unexpected() or run.exact or run.select != "*" or not entry_points(group="tunproof.commands"):
        return
    command = shlex.join(("tunproof", "fuzz", "adapter", "--seconds", "60", *run.command[2:]))
    terminal.say(f"next, for input that no case covers: {command}")


def _complain(text: str) -> None:
    print(f"tunproof: {text}", file=sys.stderr)


def _no_such_case(case_id: str, ids: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(case_id, ids, n=3, cutoff=0.5)
    hint = "; did you mean " + ", ".join(near) + "?" if near else "; `tunproof corpus list` lists them all"
    return f"there is no case {case_id!r}{hint}"
