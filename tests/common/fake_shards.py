"""A runner of shards that needs no kernel and misbehaves on demand, and a command line around it.

Worker processes and Dask workers import this module by its name, so it imports little.
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tunfuzz.shard import Shard, Tally
from tunproof.errors import EnvironmentProblem

RULES = ("often", "seldom", "never")


@dataclass(frozen=True)
class FakeRunner:
    """Writes `start FIRST PID` and `end FIRST PID` to a log, and does in between what `acts` has for that shard.

    The acts, several one after the other: `find`, `environment`, `raise`, `exit`, `kill`, `kill-once`, `hang`, and
    `hold`, which goes on when there is a file named as the log with `.go` at the end.
    """

    log: str
    acts: dict[int, list[str]] = field(default_factory=dict)

    def __call__(self, shard: Shard, out: Path) -> Tally:
        tries = self.note("start", shard)
        names: list[str] = []
        for act in self.acts.get(shard.first, ()):
            names += self.act(act, shard, out, tries)
        self.note("end", shard)
        return Tally(
            cases=shard.count,
            seconds=0.5,
            outcomes={"delivered": shard.count - 1, "lost": 1},
            shapes={"raw": shard.count},
            rules={"often": shard.count, **({"seldom": 1} if shard.first == 0 else {})},
            masks={"ipv6 fragment id": 2},
            differences=3 * len(names),
            findings=names,
        )

    def act(self, act: str, shard: Shard, out: Path, tries: int) -> list[str]:
        if act == "find":
            return [find(shard, out)]
        if act == "environment":
            raise EnvironmentProblem("there is no lab", cure="get one")
        if act == "raise":
            raise ZeroDivisionError("a bug of the runner")
        if act == "exit":
            os._exit(7)
        if act == "kill" or (act == "kill-once" and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if act == "hang":
            time.sleep(1000)
        while act == "hold" and not Path(self.log + ".go").exists():
            time.sleep(0.005)
        return []

    def note(self, what: str, shard: Shard) -> int:
        """Write a line; return how often the shard was started."""
        with Path(self.log).open("a+") as log:
            log.write(f"{what} {shard.first} {os.getpid()}\n")
            log.flush()
            log.seek(0)
            return sum(line.startswith(f"start {shard.first} ") for line in log)


def find(shard: Shard, out: Path) -> str:
    from tunproof.runs.findings import Finding, keep  # noqa: PLC0415

    finding = Finding(
        kind="kernel",
        title="they differ",
        rule="a rule",
        input={"case": f"{shard.seed}/{shard.first}"},
        expected={"outcome": "lost"},
        got={"outcome": "refused", "errno": "EINVAL"},
        repro="true",
    )
    return keep(out, finding).name


def main() -> None:
    """`python -c 'from common import fake_shards; fake_shards.main()' RUNNER-AS-JSON OPTION...`."""
    from tunfuzz.campaign import request  # noqa: PLC0415
    from tunfuzz.campaign.command import campaign_command  # noqa: PLC0415
    from tunproof.cli import commands as cli  # noqa: PLC0415

    told = json.loads(sys.argv.pop(1))
    runner = FakeRunner(told["log"], {int(first): acts for first, acts in told["acts"].items()})
    experiment = request.Experiment(runner=runner, rules=RULES, corpus="c0ffee")
    request.Campaign.__init__.__kwdefaults__["shard"] = 10
    cli.app.command("fake-campaign")(campaign_command(lambda _: experiment))
    sys.argv.insert(1, "fake-campaign")
    cli.main()
