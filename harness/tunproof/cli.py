"""The command: it parses, calls, prints, and turns errors into exit codes.

0 as expected; 1 a kernel, implementation or case disagrees; 2 usage, also a selection that matches nothing; 3 the
environment does not allow it.
"""

import errno
import json
import sys
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunproof.errors import EnvironmentProblem, TunproofError, UsageError
from tunproof.streams import discard_output, prepare_streams
from tunproof.version import __version__

if TYPE_CHECKING:
    from tunproof.corpus.load import Corpus
    from tunproof.results import Results
    from tunproof.terminal import Terminal

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
Report = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write results, page, JUnit, summary and captures there.")
]


@app.callback()
def _remember(ctx: typer.Context) -> None:
    """Keep the words of the command line: `--` is gone when a command gets its arguments."""
    ctx.obj = sys.argv[1:]


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
def kernel(*, select: Select = "*", report: Report = None, as_json: AsJson = False) -> None:
    """Is this kernel right? Put the corpus through real TUN devices and compare every byte."""
    from tunproof import lab
    from tunproof.corpus.load import load
    from tunproof.kernel import verify
    from tunproof.terminal import Terminal

    lab.ensure()
    corpus = load()
    cases = corpus.select(select)
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        found = verify(cases, progress=tick)
    if len(found.not_applicable) == found.cases:
        raise UsageError(f"{select!r} selects no case that can be put to this kernel: {_reasons(found.not_applicable)}")
    if report is not None:
        from tunproof.kernel_results import keep

        keep(report, found, cases, corpus, select=select)
    if as_json:
        _print_json(
            {
                "kernel": found.kernel,
                "cases": found.cases,
                "agree": found.agree,
                "disagree": [item.case.id for item in found.disagreements],
                "not_applicable": len(found.not_applicable),
                "seconds": round(found.seconds, 3),
            }
        )
    else:
        terminal.kernel_report(found, cases)
        _say_where(terminal, report)
    if found.disagreements:
        raise typer.Exit(1)


@app.command()
def check(  # noqa: PLR0913 (each option is one of the command's)
    ctx: typer.Context,
    subject: Annotated[
        list[str], typer.Argument(metavar="SUBJECT", help="reference, python:MODULE:FACTORY, or -- COMMAND...")
    ],
    *,
    select: Select = "*",
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Known failures (TOML), which are expected.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Print a baseline for today, and nothing else.")
    ] = False,
    report: Report = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the results in the folder of --report.")] = False,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="How frames reach an adapter's implementation.")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Ask every case so often; who wavers is flaky.")] = 1,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds for one answer of an adapter.")] = 2.0,
    start_deadline: Annotated[float, typer.Option("--start-deadline", help="Seconds until it says hello.")] = 30.0,
    memory: Annotated[int, typer.Option("--memory", help="MiB that an adapter may use.")] = 1024,
    restarts: Annotated[int, typer.Option("--restarts", min=0, help="How often it is started again.")] = 100,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="The most runs in one message.")] = None,
    as_json: AsJson = False,
) -> None:
    """Is this implementation right? Put the corpus to it, and say which cases fail, and why."""
    from tunproof import check as checking
    from tunproof.adapters.process import Limits
    from tunproof.connect import connector_of
    from tunproof.corpus.load import load
    from tunproof.terminal import Terminal

    connector = replace(
        connector_of(subject, behind_dashes="--" in ctx.obj),
        mode=_mode(mode),
        limits=Limits(start=start_deadline, answer=deadline, memory=memory << 20, restarts=restarts),
        batch=batch,
    )
    request = checking.Request(
        connector=connector, select=select, baseline=baseline, report=report, resume=resume, repeat=repeat
    )
    if write_baseline and select != "*":
        raise UsageError("a baseline is written for the whole corpus: leave --select out")
    corpus = load()
    terminal = Terminal()
    with terminal.progress("cases") as tick:
        results = checking.check(request, corpus, progress=tick)
    if write_baseline:
        from tunproof.baseline import Baseline, dump

        print(dump(results, None if baseline is None else Baseline.load(baseline)), end="")
        return
    _tell(terminal, results, corpus, report=report, as_json=as_json)


@app.command("report")
def report_of(
    streams: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Streams of results, or folders that --report wrote.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the page goes.")],
) -> None:
    """Put several runs side by side in one page: implementations, kernels, or today and yesterday."""
    from tunproof.corpus.load import load
    from tunproof.reports.write import write_page
    from tunproof.results import read
    from tunproof.terminal import Terminal

    runs = [read(stream) for stream in streams]
    terminal = Terminal()
    terminal.say(f"{write_page(out, runs, load())}: {len(runs)} runs side by side")


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


@app.command("kit")
def print_kit(language: Annotated[str, typer.Argument(help="python, go, rust or c.")]) -> None:
    """Print an adapter to begin with: tunproof kit go > adapter.go."""
    from tunproof.guide import kit

    _print(kit(language))


@app.command("protocol")
def print_protocol(
    *, schema: Annotated[bool, typer.Option("--schema", help="Print JSON Schemas: runner, adapter, results.")] = False
) -> None:
    """Print what tunproof and an adapter say to each other, for people or for programs."""
    from tunproof import protocol_text

    if schema:
        _print_json(protocol_text.schemas())
    else:
        _print(protocol_text.markdown())


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


def _mode(name: str | None) -> str | None:
    """Return a mode by its name; `device` is short for `device-fd`."""
    from tunproof.protocol import MODES

    if name is not None and name not in {*MODES, "device"}:
        raise UsageError(f"there is no mode {name!r}; there are {', '.join(MODES)}, and device for device-fd")
    return "device-fd" if name == "device" else name


def _tell(terminal: "Terminal", results: "Results", corpus: "Corpus", *, report: Path | None, as_json: bool) -> None:
    """Print what a run found, and end with its exit code."""
    from tunproof.results import Problem

    unexpected = results.unexpected()
    if as_json:
        _print_json(
            {
                "subject": results.run.subject,
                "mode": results.run.mode,
                "cases": len(results.results),
                "verdicts": results.verdicts(),
                "unexpected": [
                    {"id": one.id, "verdict": one.what if isinstance(one, Problem) else one.verdict.value}
                    for one in unexpected
                ],
                "seconds": results.end.seconds if results.end else None,
            }
        )
    else:
        terminal.check_report(results, corpus)
        _say_where(terminal, report)
    if unexpected:
        raise typer.Exit(1)


def _say_where(terminal: "Terminal", report: Path | None) -> None:
    if report is not None:
        terminal.say(f"reports: {report / 'index.html'}, junit.xml, summary.md, results.jsonl")


def _complain(text: str) -> None:
    print(f"tunproof: {text}", file=sys.stderr)


def _print_json(value: object) -> None:
    """Print one object."""
    _print(json.dumps(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def _print(text: str) -> None:
    """Print. A reader that has gone away changes nothing about the verdict, so neither the exit code."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        discard_output()


def _reasons(reasons: dict[str, str]) -> str:
    return "; ".join(sorted(set(reasons.values())))


def _no_such_case(case_id: str, ids: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(case_id, ids, n=3, cutoff=0.5)
    hint = "; near it: " + ", ".join(near) if near else "; `tunproof corpus list` has them all"
    return f"there is no case {case_id!r}{hint}"
