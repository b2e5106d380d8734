"""Adapters that misbehave, each in one way, for the runner's tests: `python rogue.py WAY`.

Each is correct (the Python kit's example), until it gets the victim: the checksum of these bytes.
"""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

from tunproof.protocol.kits import adapter as kit

VICTIM = bytes.fromhex(sys.argv[2])
PROTOCOL = os.dup(1)  # the kit moves what is printed out of the way; a rogue writes to what was fd 1


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    time.sleep(1000)


def garbage():
    os.write(PROTOCOL, b"Traceback (most recent call last):\n")


def endless_line():
    while True:
        os.write(PROTOCOL, b"x" * 65536)


def half_a_line():
    os.write(PROTOCOL, b'{"id":')
    time.sleep(1000)


def half_a_line_and_the_end():
    os.write(PROTOCOL, b'{"id":')
    os._exit(0)


def exit_0():
    os._exit(0)


def exit_3():
    os._exit(3)


def close_stdout():
    os.closerange(3, 64)  # whatever the kit made of it
    time.sleep(1000)


def eat_memory():
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1 << 20)) * 16)


def child_eats_memory():
    if os.fork() == 0:
        eat_memory()
    time.sleep(1000)


def flood_stderr():
    for _ in range(2000):
        os.write(2, b"all work and no play makes jack a dull boy\n" * 1000)


def fork():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)


def leave_a_child():
    subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL)


def answer_unsupported():
    raise kit.Unsupported("what it claims")


def raise_error():
    raise RuntimeError("no such luck")


def wrong_answer():
    return 0x1234


def print_and_wrong():
    print("here I am")
    return 0x1234


HEARD = []
LOCK = Path(os.environ.get("TUNPROOF_TEST_LOCK", "/nowhere"))


def hear(line, loads=json.loads):
    said = loads(line)
    HEARD.append(said["cmd"])
    return said


kit.json = types.SimpleNamespace(loads=hear)


WAYS = {
    way.__name__: way
    for way in (
        crash,
        hang,
        garbage,
        endless_line,
        half_a_line,
        half_a_line_and_the_end,
        exit_0,
        exit_3,
        close_stdout,
        eat_memory,
        child_eats_memory,
        flood_stderr,
        fork,
        leave_a_child,
        answer_unsupported,
        raise_error,
        wrong_answer,
        print_and_wrong,
    )
}


CLAIMS = {
    "unknown_capability": {"capabilities": ["header.prase"]},
    "unknown_op": {"ops": ["checksums"]},
    "unknown_mode": {"modes": ["memories"]},
    "unknown_offload": {"claims": {"offloads": ["TS04"]}},
    "unknown_key": {"colour": "red", "claims": {"manner": "polite"}},
    "other_protocol": {"protocol": 3},
    "no_batches": {"maxBatch": 1},
}


def raise_often(data, initial):
    """Raise for many inputs, and leave nothing behind."""
    if len(data) % 2:
        raise ValueError(f"{len(data)} bytes")
    return kit.checksum(data, initial)


def checksum_of(way):
    """Return the kit's checksum, but for the victim."""
    seen = []

    def checksum(data, initial):
        if way == "leak" and VICTIM in seen:  # what it was in the middle of is still there
            return 0x1234
        seen.append(data)
        if way == "constant":
            return 7
        if way == "rejects_everything":
            raise kit.Rejected("not today")
        if data == VICTIM:
            if way == "flip" and seen.count(VICTIM) % 2 == 0:
                return 0x1234
            if way == "crash_in_a_batch" and HEARD[-1] == "batch":
                crash()
            if way == "crash_once" and not LOCK.exists():
                LOCK.touch()
                crash()
            answer = raise_error() if way == "leak" else WAYS[way]() if way in WAYS else None
            if answer is not None:
                return answer
        return kit.checksum(data, initial)

    return checksum


def begin_badly(way):
    if way == "silent_start":
        time.sleep(1000)
    if way == "garbage_at_hello":
        print("Welcome to my VPN!", flush=True)
    if way == "exit_at_hello":
        sys.exit("cannot open the configuration")


def end_badly(way):
    if way == "stays_after_bye":
        time.sleep(1000)
    if way == "exit_23_after_bye":
        print("LeakSanitizer: detected memory leaks", file=sys.stderr)
        sys.exit(23)


def main():
    way = sys.argv[1]
    about = {
        "implementation": {"name": "rogue", "version": "1", "language": "Python"},
        "capabilities": ["header.parse", "header.emit", "header.12", "header.24", "header.big-endian"],
        "modes": ["memory"],
    }
    begin_badly(way)
    checksum = raise_often if way == "raise_often" else checksum_of(way)
    functions = {"checksum": checksum, "header": (kit.parse_header, kit.emit_header)}
    OWN_LOOPS.get(way, kit.serve)(about | CLAIMS.get(way, {}), functions)
    end_badly(way)


def messages(about, functions):
    """Yield what the runner says and the right reply, for rogues that have their own way with replies."""
    about = {"protocol": 1, "ops": list(functions), "maxBatch": 1, **about}
    for line in sys.stdin.buffer:
        said = json.loads(line)
        if said["cmd"] == "bye":
            return
        yield said, about if said["cmd"] == "hello" else kit._run(functions, said)


def say(reply):
    os.write(PROTOCOL, json.dumps(reply).encode() + b"\n")


def early_answer(about, functions):
    """Answer a long message before it is over, and be deaf then."""
    os.write(PROTOCOL, json.dumps({"protocol": 1, "ops": list(functions), **about}).encode() + b"\n")
    while True:
        data = os.read(0, 4096)
        if not data.endswith(b"\n"):
            os.write(PROTOCOL, b"{}\n" * 100_000)
            time.sleep(1000)
        for line in data.splitlines():
            said = json.loads(line)
            runs = said.get("runs", [said])
            replies = [kit._run(functions, run) for run in runs if run["cmd"] == "run"]
            if said["cmd"] == "run":
                say(replies[0])
            elif said["cmd"] == "batch":
                say({"results": replies})
            elif said["cmd"] == "bye":
                return


def real_time_signal(about, functions):
    for said, reply in messages(about, functions):
        if is_victim(said):
            os.kill(os.getpid(), 40)
        say(reply)


def is_victim(said):
    return said.get("op") == "checksum" and said["input"]["data"] == VICTIM.hex()


def twice(about, functions):
    for said, reply in messages(about, functions):
        say(reply)
        if is_victim(said):
            say(reply)


def wrong_ids(about, functions):
    for said, reply in messages(about, functions):
        say({**reply, "id": 12345} if is_victim(said) else reply)


def late_crash(about, functions):
    for said, reply in messages(about, functions):
        say(reply)
        if is_victim(said):
            crash()


def ok_to_everything(about, functions):
    for said, reply in messages(about, functions):
        say({"id": said["id"], "status": "ok"} if reply.get("status") == "unsupported" else reply)


def poisoned(about, functions):
    """Answer everything with an error after the first one, as behind a lock that a panic has poisoned."""
    error = None
    for said, reply in messages(about, functions):
        if is_victim(said):
            error = {"status": "error", "detail": "PoisonError"}
        say({"id": said["id"], **error} if error else reply)


def panics_at_once(about, functions):
    """Answer hello, and every run with a panic."""
    for said, reply in messages(about, functions):
        if said["cmd"] == "hello":
            say(reply)
        else:
            print("called `Option::unwrap()` on a `None` value", file=sys.stderr, flush=True)
            say({"id": said["id"], "status": "error", "detail": "unwrap on None", "trace": "at main.rs:7"})


def unknown_key_in_reply(about, functions):
    for said, reply in messages(about, functions):
        say({**reply, "sume": 1} if is_victim(said) else reply)


OWN_LOOPS = {
    loop.__name__: loop
    for loop in (
        twice,
        wrong_ids,
        late_crash,
        ok_to_everything,
        unknown_key_in_reply,
        poisoned,
        panics_at_once,
        early_answer,
        real_time_signal,
    )
}

if __name__ == "__main__":
    main()
