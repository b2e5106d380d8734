"""The adapter's side of lifecycles over the protocol, for the reference: steps in, answers out, fds over a socket."""

import socket
from collections.abc import Callable
from typing import Any, Literal

from tunproof.corpus.codec import builtins_of, convert
from tunproof.corpus.script import Answer, Done, LetGo, OpenOther, OpenTun, OpenWire, Step, Waiting
from tunproof.subjects.lifecycle.nearside import NearSide
from tunproof.subjects.lifecycle.player import Player, StuckError

__all__ = ["LifecycleAdapter"]


class LifecycleAdapter:
    """One lifecycle after another."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._side = NearSide()
        self._player: Player | None = None
        self._steps: dict[type, Callable[[Any], Answer]] = {}

    def begin(self, descriptors: int | None, backend: Literal["offload", "plain"]) -> None:
        """Start over. `descriptors` is the number of the socket over which fds come, the same one every time."""
        self.close()
        if self._socket is None and descriptors is not None:
            self._socket = socket.socket(fileno=descriptors)
        self._side = NearSide()
        self._player = Player(backend, self._side)
        self._steps = self._player.steps | {
            OpenWire: self._open_wire,
            OpenTun: self._open_tun,
            OpenOther: self._open_other,
            LetGo: self._side.let_go,
        }

    def step(self, step: dict[str, Any]) -> dict[str, Any]:
        """Return a step's answer, which is `waiting` if it does not return. Both are JSON objects.

        Raises `ValueError` for a step about something that no step made, and `UnsupportedError`.
        """
        wanted: Step = convert(step, Step)
        try:
            answer = self._steps[type(wanted)](wanted)
        except StuckError:
            answer = Waiting()
        said: dict[str, Any] = builtins_of(answer)
        return said

    def close(self) -> None:
        """Close what the steps made. Closing twice is harmless."""
        if self._player is not None:
            self._player.close()
        self._player = None

    def _open_wire(self, step: OpenWire) -> Answer:
        self._side.keep(step.fd, self._received(), least=step.least)
        return Done()

    def _open_tun(self, step: OpenTun) -> Answer:
        self._side.keep(step.fd, self._received())
        return Done()

    def _open_other(self, step: OpenOther) -> Answer:
        if step.what == "closed":
            self._side.keep_closed(step.fd)
        else:
            self._side.keep(step.fd, self._received())
        return Done()

    def _received(self) -> int:
        if self._socket is None:
            raise ValueError("hello named no socket over which fds come")
        _, fds, _, _ = socket.recv_fds(self._socket, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if not fds:
            raise ValueError("no fd came with the step")
        return fds[0]
