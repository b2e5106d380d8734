"""`tunproof fuzz adapter`: options in, summary and exit code out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunfuzz.options import FOLDER, Duration, Out, Replay, Seed, ended
from tunproof.cli.options import AsJson, print_json, print_text
from tunproof.errors import TunproofError

if TYPE_CHECKING:
    from tunproof.subjects.connect import Connector

__all__ = ["adapter"]


def adapter(  # noqa: PLR0913 (each is an option of the command)
    ctx: typer.Context,
    subject: Annotated[list[str], typer.Argument(metavar="SUBJECT", help="python:MODULE:FACTORY, or -- COMMAND...")],
    *,
    cases: Annotated[
        int | None, typer.Option("--cases", min=1, metavar="N", help="How many cases (default: 10000).")
    ] = None,
    seconds: Duration = None,
    seed: Seed = None,
    out: Out = FOLDER,
    select: Annotated[str | None, typer.Option("--select", metavar="OP", help="One operation, such as read.")] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="How frames reach the implementation.")
    ] = None,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds the adapter has to reply.")] = 2.0,
    memory: Annotated[int, typer.Option("--memory", help="MiB the adapter may use.")] = 1024,
    restarts: Annotated[int, typer.Option("--restarts", min=0, help="How often the adapter may be restarted.")] = 100,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Known differences (TOML): not reported again.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Print a baseline of what was found, and nothing else.")
    ] = False,
    replay: Replay = None,
    as_json: AsJson = False,
) -> None:
    """Compare an implementation with the reference on random input; any difference is minimised and kept."""
    from dataclasses import replace

    from tunproof.subjects.adapters.process import Limits
    from tunproof.subjects.connect import connector_of, mode_of

    connector = replace(
        connector_of(subject, behind_dashes="--" in ctx.find_root().obj),
        mode=mode_of(mode),
        limits=Limits(answer=deadline, memory=memory << 20, restarts=restarts, renewals=restarts),
    )
    if replay is not None:
        code = _replay(connector, replay, as_json=as_json)
    else:
        if cases is None and seconds is None:
            cases = 10_000
        wanted = {"cases": cases, "seconds": seconds, "out": out, "select": select}
        code = _fuzz(connector, seed, baseline, as_json=as_json, as_baseline=write_baseline, **wanted)
    if code:
        raise typer.Exit(code)


def _fuzz(
    connector: "Connector",
    seed: int | None,
    baseline: Path | None,
    *,
    as_json: bool,
    as_baseline: bool,
    **wanted: object,
) -> int:
    import secrets
    import traceback

    from tunfuzz.peer.known import Known, dump
    from tunfuzz.peer.request import Request
    from tunfuzz.peer.run import run
    from tunfuzz.peer.text import show
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load_for_good

    seed = secrets.randbits(32) if seed is None else seed
    known = Known() if baseline is None else Known.load(baseline)
    request = Request(connector=connector, seed=seed, known=known, **wanted)  # type: ignore[arg-type]
    terminal = Terminal()
    with terminal.progress("cases" if request.cases is not None else "seconds") as tick:
        summary = run(request, load_for_good(), progress=tick)
    if summary.broken_off is not None and not isinstance(summary.broken_off, TunproofError):
        traceback.print_exception(summary.broken_off)  # for whoever reports it
    if as_baseline and summary.broken_off is None:
        print_text(dump(summary.subject, summary.findings, known))
        return 0
    return ended(terminal, summary, show, as_json=as_json)


def _replay(connector: "Connector", finding: Path, *, as_json: bool) -> int:
    from tunfuzz.peer.met import look
    from tunfuzz.peer.report import input_from
    from tunproof.cli.terminal import Terminal
    from tunproof.corpus.load import load_for_good
    from tunproof.runs import findings
    from tunproof.subjects.reference import Reference

    given = input_from(findings.load(finding))
    with connector.open(load_for_good()) as connection, Reference() as reference:
        one = look(given, connection, reference)
    if as_json:
        print_json({"differs": bool(one.rule), "verdict": one.verdict.kind, "what": one.verdict.difference})
    else:
        waiver = f" ({one.waiver})" if one.waiver else ""
        Terminal().say(one.verdict.difference + waiver if one.verdict.difference else "subject and reference agree")
    return int(bool(one.rule))
