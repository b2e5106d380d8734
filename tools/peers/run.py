"""The command behind `make peers`: build the peers that this machine can build, and run the corpus against each.

    python tools/peers/run.py                     every peer
    python tools/peers/run.py wireguard-go dpkt   some of them
    python tools/peers/run.py --build nebula      only build it, and print its command line

Exit code 0: every peer that can be had here got its verdicts, and its ledger agrees with them. 1: one does not build,
its adapter is broken, or ledger and causes differ.
2: there is no such peer. 3: none can be had here.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # so that this folder is the package `peers`

from peers.build import BuildFailed, Built, Skipped, build
from peers.ledger import complaints, load_ledger
from peers.recipe import PEERS, Peer, load_all
from tunproof.lab.privilege import device_obstacle, has_capabilities, userns_obstacle
from tunproof.runs.results import Results, read

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".cache" / "peers"
REPORTS = CHECKOUT / "build" / "report" / "peers"
_QUIET = ("unsupported", "not-applicable", "outside")


def main(arguments: Sequence[str] | None = None, *, peers: Path = PEERS, cache: Path = CACHE) -> int:
    """Run the command and return its exit code."""
    options = _options(arguments)
    known = {peer.name: peer for peer in load_all(peers)}
    if odd := set(options.names) - known.keys():
        print(f"peers: no {', '.join(sorted(odd))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    outcomes = [_one(known[name], cache, options) for name in options.names or known]
    if "broken" in outcomes:
        return 1
    return 0 if "checked" in outcomes else 3


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PEER", help="all, if none is named")
    parser.add_argument("--build", action="store_true", help="only build, and print the command line")
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="DIR", help="where NAME-MODE folders go")
    return parser.parse_args(arguments)


def _one(peer: Peer, cache: Path, options: argparse.Namespace) -> str:
    """Build and check one peer; return 'checked', 'skipped' or 'broken'."""
    began = time.monotonic()
    try:
        built = build(peer, cache)
    except Skipped as reason:
        print(f"{peer.name}: skipped: {reason}")
        return "skipped"
    except BuildFailed as error:
        print(f"{peer.name}: does not build:\n{error}", file=sys.stderr)
        return "broken"
    (cache / peer.name / "resolved.json").write_text(json.dumps(built.resolved, indent=1) + "\n", "utf-8")
    print(
        f"{peer.name} {peer.version}: built in {time.monotonic() - began:.0f} s: {' '.join(built.command)}", flush=True
    )
    if options.build:
        return "checked"
    outcomes = {mode: _check(peer, built, mode, options.reports) for mode in peer.modes}
    checked = [mode for mode, outcome in outcomes.items() if outcome == "checked"]
    if checked and not _agrees(peer, [read(_report(options.reports, peer, mode)) for mode in checked]):
        return "broken"
    return next(one for one in ("broken", "checked", "skipped") if one in outcomes.values())


def _agrees(peer: Peer, runs: Sequence[Results]) -> bool:
    """Say where the ledger and the causes of a peer differ, and return whether they do not."""
    entries = load_ledger(peer.folder / "ledger.toml")
    found = list(complaints(entries, [cause for run in runs for cause in run.causes]))
    for text in found:
        print(f"  ledger: {text}", file=sys.stderr)
    if not found:
        true = sum(entry.judged == "true" for entry in entries)
        print(f"  ledger: every cause that fails is judged true; {true} are, and all were found", flush=True)
    return not found


def _report(reports: Path, peer: Peer, mode: str) -> Path:
    return reports / f"{peer.name}-{mode}"


def _check(peer: Peer, built: Built, mode: str, reports: Path) -> str:
    """Run the corpus in one mode; return 'checked', 'skipped' or 'broken'."""
    if (mode.startswith("device") or peer.makes_tun) and (reason := _no_lab()):
        print(f"  {mode}: skipped: {reason}")
        return "skipped"
    report = _report(reports, peer, mode)
    done = subprocess.run(
        [sys.executable, "-m", "tunproof", "check", "--json", "--report", report, "--mode", mode, "--", *built.command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1}:
        print(f"  {mode}: no verdict: {done.stderr.strip()}", file=sys.stderr)
        return "broken"
    told = json.loads(done.stdout)
    counts = ", ".join(f"{number} {kind}" for kind, number in told["verdicts"].items() if kind not in _QUIET)
    print(f"  {mode}: {counts} in {told['seconds']:.0f} s: {report}", flush=True)
    return "checked"


def _no_lab() -> str | None:
    """Return why this machine lets nobody make a TUN, or None."""
    obstacle = device_obstacle() or (None if has_capabilities() else userns_obstacle())
    return None if obstacle is None else obstacle.what


if __name__ == "__main__":
    sys.exit(main())
