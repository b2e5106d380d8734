"""A real TUN: the kernel delivers what is read, and segments what is written. Its namespace is new at every start.

What the kernel and the lab do themselves is not the subject's responsibility. A frame that no kernel delivers in this
way, and one that it turns into something else from any writer, is not applicable. The corpus says what kernels do with
what is written; for other cases, such as those of the fuzzer, the answer comes from a TUN of ours in the same lab.
"""

import contextlib
import errno
import os
import subprocess
from collections.abc import Sequence
from typing import Literal

import tio
from tio.virtio import HEADER_SIZE
from tunproof import lab
from tunproof.corpus.cases import Case, Packets, ReadCase, WriteBatchCase, WriteCase, WriteGsoCase, Written
from tunproof.corpus.model import KernelSame
from tunproof.errors import EnvironmentProblem
from tunproof.judge.outcome import Inapplicable, Outcome, Transmitted, TurnedDown
from tunproof.kernel.probes import running_traits
from tunproof.packets.frame import segments_of
from tunproof.protocol.messages import Attach, ErrorReply, OkReply, Reply, UnsupportedReply
from tunproof.subjects.adapters.dialogue import FRAME_IS_THERE, SENTINEL_FRAME, Dialogue, outcome_of
from tunproof.subjects.adapters.process import BrokenError, Limits
from tunproof.subjects.adapters.transport import Transport

__all__ = ["DeviceMode", "DeviceTransport"]

DeviceMode = Literal["device-fd", "device-create", "device-attach"]


class DeviceTransport(Transport):
    """A real TUN: the kernel delivers what is read, and segments what is written. Each start has a new namespace."""

    def __init__(self, command: Sequence[str], limits: Limits, mode: DeviceMode) -> None:
        super().__init__(command, limits)
        self.mode: DeviceMode = mode
        self._traits = running_traits()
        self._delivery = _Delivery()
        self._lab: lab.ProgramLab | None = None

    def _start(self) -> None:
        self._lab = lab.ProgramLab()
        spawn = self._spawn
        if self.mode == "device-fd":
            fd = self._lab.make()
            self._begin(Attach(mode=self.mode, fd=fd), [fd], spawn)
            self._lab.let_go(fd)
        else:
            if self.mode == "device-attach":
                self._lab.leave()
            self._begin(Attach(mode=self.mode, name=self._lab.name), spawn=spawn)
        try:
            self._lab.connect()
        except OSError as error:
            raise EnvironmentProblem(
                f"the adapter answered hello, but made no device {self._lab.name!r}: {error}",
                cure="in mode device-create the TUN must exist when hello is answered",
            ) from error

    def stop(self) -> None:
        """See `Transport.stop`."""
        super().stop()
        if self._lab is not None:
            self._lab.close()
            self._lab = None

    def close(self) -> None:
        """See `Transport.close`."""
        super().close()
        self._delivery.close()

    def leftover(self) -> str:
        """See `Transport.leftover`."""
        packets = self._device.segments()
        return f"wrote {len(packets)} unrequested packets" if packets else ""

    def _put(self, dialogue: Dialogue) -> Outcome:
        case = dialogue.case
        if isinstance(case, ReadCase):
            return self._read(case)
        answer = case.answer_of(self._traits)
        if answer is not None and not isinstance(answer, KernelSame):
            return Inapplicable("this kernel does something else with such a frame, whoever writes it")
        if answer is None and (obstacle := self._delivery.obstacle_to_write(case)):
            return Inapplicable(obstacle)
        for run in dialogue.before:
            self.client.run(run)
        self._device.segments()
        return _cut(self.client.run(dialogue.judged), self._device.segments(), batch=isinstance(case, WriteBatchCase))

    def _read(self, case: ReadCase) -> Outcome:
        obstacle = self._delivery.obstacle(case)
        if obstacle is not None:
            return Inapplicable(obstacle)
        for frame in (*case.input.before, case.input.frame):
            with contextlib.suppress(OSError):  # earlier frames need not be anything that a kernel sends
                self._device.send(frame)
            try:
                self._device.send(SENTINEL_FRAME)
            except OSError as error:  # ENODEV, ENETDOWN, or ENOBUFS if its reader is gone
                raise BrokenError("crash", f"its TUN no longer accepts packets: {error.strerror}") from error
            reply = self.client.run(FRAME_IS_THERE)
            if isinstance(reply, ErrorReply | UnsupportedReply):  # it may not have reached the sentinel
                self.refresh()
        return self._outcome("read", reply)

    @property
    def _device(self) -> lab.ProgramLab:
        if self._lab is None:
            raise ValueError("not started")
        return self._lab

    def _spawn(self, *arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        return self._device.run(lambda: subprocess.Popen(*arguments, **options))  # type: ignore[call-overload]


class _Delivery:
    """Which frames a kernel delivers at all, to a TUN's readers or from its writers; found out with our own TUN."""

    def __init__(self) -> None:
        self._lab = lab.ProgramLab()
        try:
            self._fd = self._lab.make()
            self._lab.connect()
        except BaseException:
            self._lab.close()
            raise

    def obstacle(self, case: ReadCase) -> str | None:
        """Return why a case cannot be read from a device, or None."""
        if not isinstance(case.expect, Packets):
            return "no kernel delivers a frame that must be rejected"
        frame = case.input.frame
        try:
            self._lab.send(frame)
        except OSError as error:
            return f"this kernel does not send such a frame: {errno.errorcode.get(error.errno or 0, error.errno)}"
        packets = []
        with contextlib.suppress(BlockingIOError, tio.FrameError):
            while True:
                packets += segments_of(os.read(self._fd, 1 << 17))
        if tuple(packets) != case.expect.packets:
            return "this kernel turns such a frame into something else before it is read"
        return None

    def obstacle_to_write(self, case: Case) -> str | None:
        """Return why what a right subject writes for a case does not come out of a device as it is, or None.

        The lab loses packets of 1 to 3 bytes, for instance. A batch may be written joined as in its example, or packet
        by packet; a packet that this kernel refuses from every writer is one that a batch need not deliver.
        """
        match case:
            case WriteCase(expect=Written(header=header)) | WriteGsoCase(expect=Written(header=header)):
                frames = [header + case.input.whole]
            case WriteBatchCase(input=given, expect=expect):
                frames = list(expect.example)
                frames += [bytes(HEADER_SIZE) + packet for packet in given.packets if packet]
            case _:
                return None
        return next(filter(None, map(self._change, dict.fromkeys(frames))), None)

    def _change(self, frame: bytes) -> str | None:
        """Return what happens to a frame between its writer and the other end of the lab, or None."""
        try:
            os.write(self._fd, frame)
        except OSError:
            return None
        if self._lab.segments() != segments_of(frame):
            return "this lab loses or changes such a frame, whoever writes it"
        return None

    def close(self) -> None:
        """Close the TUN."""
        self._lab.close()


def _cut(reply: Reply, packets: list[bytes], *, batch: bool) -> Outcome:
    """Return the outcome of a write that the kernel turned into these packets."""
    if isinstance(reply, OkReply):
        return Transmitted(packets)
    outcome = outcome_of("write", reply, silent=False)
    if isinstance(outcome, TurnedDown):
        return Transmitted(packets) if batch and packets else TurnedDown(outcome.reason, tuple(packets))
    return outcome
