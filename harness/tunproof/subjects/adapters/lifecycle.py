"""Playing a lifecycle script with a subject in another process: the runner's side.

The far ends and the devices stay here. The subject gets each fd that a step makes, and does its own steps and those
that make or close fds (`protocol.StepRequest`).
"""

import functools
import os
from collections.abc import Callable
from typing import Any

from tunproof.corpus.codec import builtins_of
from tunproof.corpus.script import (
    Answer,
    FinishWrite,
    OpenOther,
    OpenTun,
    OpenWire,
    Script,
    StartRead,
    StartWrite,
    Step,
    Waiting,
)
from tunproof.protocol.messages import (
    ErrorReply,
    LifecycleRequest,
    OkReply,
    RejectedReply,
    Reply,
    StepRequest,
    UnsupportedReply,
)
from tunproof.subjects.lifecycle.scenery import FarSide
from tunproof.subjects.subject import TurnedDownError, UnsupportedError

__all__ = ["Ask", "RemoteLifecycle", "StepBrokenError"]

Ask = Callable[[str, dict[str, Any], Callable[[], None] | None], Reply]
"""Sends an op with its input, and returns the reply. The third argument, if given, is called about every
millisecond while waiting for the reply."""


class StepBrokenError(Exception):
    """A step failed: a reply says so, with its `trace`, or the subject had closed the wire."""

    def __init__(self, detail: str, trace: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.trace = trace


class RemoteLifecycle:
    """Plays scripts."""

    def play(self, script: Script, ask: Ask, send_fd: Callable[[int], None]) -> list[Answer]:
        """Return each step's answer; `send_fd` passes an fd on. Whatever this side made is gone afterwards.

        A step that waits unexpectedly is the last one that is answered.

        Raises `ValueError` for a reply without an answer and for a step about something that no step made,
        `TurnedDownError`, `UnsupportedError`, `StepBrokenError`, and what `ask` and `send_fd` raise.
        """
        answers: list[Answer] = []
        far_side = FarSide(script)
        try:
            _check(ask("lifecycle", builtins_of(LifecycleRequest(backend=script.backend)), None))
            for index, step in enumerate(script.steps):
                try:
                    answer = _do(step, far_side, ask, send_fd)
                except ValueError as error:
                    raise ValueError(f"step {index} ({step}): {error}") from error
                answers.append(answer)
                if answer == Waiting() and not isinstance(step, StartRead | StartWrite):
                    break
        finally:
            far_side.close()
        return answers


def _do(step: Step, far_side: FarSide, ask: Ask, send_fd: Callable[[int], None]) -> Answer:
    """Return one step's answer."""
    try:
        if type(step) in far_side.steps:
            return far_side.steps[type(step)](step)
        fd = _made(step, far_side)
    except OSError as error:  # the target is closed or full, or a device is held by an fd that should be gone
        raise StepBrokenError(f"{step}: {error}") from error
    if fd is not None:
        try:
            send_fd(fd)
        finally:
            os.close(fd)
    drain = functools.partial(far_side.drain, step.fd) if isinstance(step, FinishWrite) else None
    reply = _check(ask("step", builtins_of(StepRequest(step=step)), drain))
    if reply.answer is None:
        raise ValueError("the reply has no answer")
    return reply.answer


def _made(step: Step, far_side: FarSide) -> int | None:
    """Return the fd that a step makes, if any."""
    match step:
        case OpenWire():
            return far_side.open_wire(step)
        case OpenTun():
            return far_side.open_tun(step)
        case OpenOther(what="unattached-tun"):
            return far_side.open_unattached()
    return None


def _check(reply: Reply) -> OkReply:
    """Return an ok reply, or raise what another one says."""
    match reply:
        case OkReply():
            return reply
        case RejectedReply(detail=detail):
            raise TurnedDownError(detail)
        case UnsupportedReply(what=what):
            raise UnsupportedError(what)
        case ErrorReply(detail=detail, trace=trace):
            raise StepBrokenError(detail, trace)
