"""The process that runs a target: `child.py fuzz|minimise MODULE PACKAGES PARENT [FLAG...]`, started by `driver`.

Started by file name, because nothing imported before atheris looks is ever instrumented. It dies with the process
PARENT, even if that is killed.

    fuzz      run libFuzzer on the module's `check`; the flags are libFuzzer's
    minimise  shrink the input on stdin; each step is a line of JSON on stdout: `data` (hex), `error`, `trace`
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do what the arguments say."""
    mode, module, packages, parent, *flags = sys.argv[1:]
    _die_with(int(parent))
    if mode == "fuzz":
        _fuzz(module, packages.split(","), flags)
    else:
        _minimise(importlib.import_module(module).check, sys.stdin.buffer.read())


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        raise SystemExit(1)


def _fuzz(module: str, packages: list[str], flags: list[str]) -> None:
    import atheris  # noqa: PLC0415 (only this mode needs it, and not every platform has it)

    with atheris.instrument_imports(include=packages):
        target = importlib.import_module(module)
    gc.freeze()
    atheris.Setup([sys.argv[0], *flags], target.check)
    atheris.Fuzz()


def _minimise(check: Callable[[bytes], None], data: bytes) -> None:
    from tunfuzz.differential.minimise import minimise  # noqa: PLC0415 (not before atheris, in the other mode)

    wanted = _failure(check, data)
    if wanted is None:
        return
    _say(data, wanted[1])

    def still(candidate: bytes) -> bool:
        found = _failure(check, candidate)
        if found is None or found[0] != wanted[0]:
            return False
        _say(candidate, found[1])
        return True

    minimise(data, still)


def _failure(check: Callable[[bytes], None], data: bytes) -> tuple[object, dict[str, str]] | None:
    """Return a failure: its identity (type and place), and its description."""
    try:
        check(data)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        return (type(error), place.filename, place.lineno), words
    return None


def _say(data: bytes, words: dict[str, str]) -> None:
    print(json.dumps({"data": data.hex(), **words}), flush=True)


if __name__ == "__main__":
    main()
