"""A program in place of QEMU: it answers over the port from a model of the kernel, and fails on demand.

The file behind `-kernel` is JSON: `version` (whose traits the model has), and `boots`, what happens at each boot, in
order; the last one holds for all that follow.

    well           it answers
    crash          it ends before it sends anything, with a panic on its console
    die N          it ends at request N, with a panic on its console
    hang N         it does not answer request N
    nonsense N     its answer to request N is not a message
    close N        it closes its port at request N, but does not end
    flood [N]      it prints 3 MB on its console, and answers; at request N it ends, with a panic after all that
    wrong N        from request N on everything is lost
"""

import json
import os
import sys
import time
from pathlib import Path

from tio.linux import Lost, Model, traits_of
from tunproof.lab.way_json import way_of
from tunproof.matrix.wire import Answer, Hello, Request, Told, Wire, told

PANIC = "Kernel panic - not syncing: somebody pulled the plug"


def main(arguments: list[str]) -> None:
    """Boot the fake."""
    kernel = Path(arguments[arguments.index("-kernel") + 1])
    wanted = json.loads(kernel.read_text())
    before = len(list(kernel.parent.glob(f"{kernel.name}.boot*")))
    kernel.with_name(f"{kernel.name}.boot{before}-{os.getpid()}").touch()
    what, _, number = wanted["boots"][min(before, len(wanted["boots"]) - 1)].partition(" ")
    print(f"Linux version {wanted['version']}", flush=True)
    if what == "crash":
        print(PANIC, flush=True)
        return
    if what == "flood":
        for _ in range(3000):
            sys.stdout.write("x" * 999 + "\n")
    port = next(one for one in arguments if one.startswith("socket,id=port,fd="))
    fd = int(port.rpartition("=")[2])
    wire = Wire(fd)
    wire.send(Hello(release=wanted.get("says", wanted["version"])))
    at = 0
    while (request := wire.receive(Request)) is not None:
        trouble = what if number and at >= int(number) else ""
        at += 1
        if trouble == "close":
            os.close(fd)
            time.sleep(600)
        if trouble in ("die", "flood"):
            print(PANIC, flush=True)
            return
        if trouble == "hang":
            time.sleep(600)
        if trouble == "nonsense":
            os.write(fd, (7).to_bytes(4, "big") + b"garbage")
            continue
        wire.send(Answer(outcomes=answers(wanted["version"], request, lost=trouble == "wrong")))


def answers(version: str, request: Request, *, lost: bool) -> list[Told]:
    """Return what the model says."""
    model = Model(traits_of(version), way_of(request.way))
    return [told(Lost() if lost else model.predict(frame)) for frame, _ in request.frames]


if __name__ == "__main__":
    main(sys.argv)
