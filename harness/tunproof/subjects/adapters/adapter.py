"""Running cases against an adapter: cases in, outcomes out, whatever the program does.

The fast path comes first: many cases in one message, or one after another without checks in between. If that breaks,
the adapter is restarted and the same cases run one by one, each followed by a request with a known answer, so that the
culprit is certain: a late crash, or a second answer, is charged to the case before it.

After an error reply, a panic or an exception, the adapter is started afresh before the next case, in the same message
or not: what an error leaves behind is not charged to other cases, nor to its own case when that is run again. If the
cases after errors of one kind turn out the same with a fresh start and without, such errors leave nothing behind, and
there are no more fresh starts after them (`Leftovers`).
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

import msgspec

from tunproof.corpus.cases import Case, LifecycleCase
from tunproof.corpus.load import Corpus
from tunproof.errors import UsageError
from tunproof.judge.outcome import Broken, Outcome
from tunproof.protocol.messages import ErrorReply, Implementation
from tunproof.subjects.adapters import honesty
from tunproof.subjects.adapters.client import AdapterBrokenError
from tunproof.subjects.adapters.dialogue import Dialogue, dialogues_of, joined
from tunproof.subjects.adapters.leftovers import Leftovers
from tunproof.subjects.adapters.process import BrokenError, Limits
from tunproof.subjects.adapters.transport import MemoryTransport, Transport
from tunproof.subjects.adapters.wire import WireTransport
from tunproof.subjects.connection import Connection, Observation

__all__ = ["Adapter"]

_SINGLY = 32  # runs one after the other between two checks
_BATCH_BYTES = 1 << 18  # of input: larger messages gain nothing


class _Item(msgspec.Struct, frozen=True):
    """A case as it is sent: its runs, unless it is a lifecycle, and whether they may share a message with others.

    A batch that is longer than is claimed has more dialogues than one: they are `pieces`.
    """

    case: Case
    dialogue: Dialogue | None
    batches: bool
    pieces: Sequence[Dialogue] = ()

    @property
    def extent(self) -> tuple[int, int]:
        """How many runs it takes, and roughly how many bytes of JSON."""
        if self.dialogue is None:
            return 1, 0
        return len(self.dialogue.runs), sum([len(run.input) for run in self.dialogue.runs])


class Adapter(Connection):
    """A program that speaks the protocol, started and found honest. Raises `EnvironmentProblem`, `UsageError`.

    `mode` None: the adapter's first. `batch` is the most runs in a message.
    """

    def __init__(
        self, command: Sequence[str], corpus: Corpus, *, mode: str | None, limits: Limits, batch: int | None = None
    ) -> None:
        self._limits = limits
        self._transport = self._started(command, mode)
        hello = self._transport.client.hello
        self.mode = self._transport.mode
        self.ops = frozenset(hello.ops)
        self.capabilities: frozenset[str] | None = frozenset(hello.capabilities)
        self.claims = hello.claims
        self.implementation: Implementation | None = hello.implementation
        self.name = hello.implementation.name
        self._restarts = self._renewals = 0
        self._leftovers = Leftovers()
        self._troubles: list[str] = []
        self._batch = min(hello.max_batch, batch or hello.max_batch)
        self._probes = honesty.probes_of(corpus, hello.ops, self.capabilities)
        try:
            honesty.examine(self._transport, self._probes)
        except BrokenError as error:
            said = _on_stderr(self._transport.stderr())
            self.close()
            raise AdapterBrokenError(
                f"the adapter {error.detail} on the simplest requests{said}",
                cure="run `tunproof check --select ID` with an id from `tunproof corpus list`, and read its stderr",
            ) from error
        except AdapterBrokenError as error:
            said = _on_stderr(self._transport.stderr())
            self.close()
            raise AdapterBrokenError(f"{error.what}{said}", cure=error.cure) from error
        except BaseException:
            self.close()
            raise

    @property
    def restarts(self) -> int:
        """How often it had to be restarted."""
        return self._breaks + self._renewals

    @property
    def _breaks(self) -> int:
        """How many restarts count against the limit."""
        return self._restarts + self._transport.refreshed

    @property
    def _is_exhausted(self) -> bool:
        return self._breaks > self._limits.restarts

    @property
    def _is_stained(self) -> bool:
        """Whether a fresh start is due before the next case."""
        if self._renewals >= self._limits.renewals:
            return False
        return not self._leftovers.none_from(self._transport.client.errors)

    def observe(self, cases: Sequence[Case]) -> list[Observation]:
        """See `Connection.observe`."""
        observed: list[Observation] = []
        for chunk in self._chunks([self._item(case) for case in cases]):
            while chunk:
                some = self._exhausted(chunk) if self._is_exhausted else self._observe(chunk)
                observed += some
                del chunk[: len(some)]
        return observed

    def troubles(self) -> list[str]:
        """See `Connection.troubles`."""
        found, self._troubles = self._troubles, []
        return found

    def finish(self) -> None:
        """See `Connection.finish`."""
        if self._is_exhausted:
            return
        try:
            if self._transport.client.errors:  # whatever the limit: this is about the adapter, not about its errors
                self._start_afresh()
            honesty.examine(self._transport, self._probes)
            self._transport.client.bye()
        except BrokenError as error:
            said = _on_stderr(self._transport.stderr())
            self._troubles.append(f"{error.how} after the last case: {error.detail}{said}")

    def begin_again(self) -> None:
        """See `Connection.begin_again`."""
        if self.restarts <= self._limits.restarts:
            self._transport.stop()
            self._transport.start()

    def close(self) -> None:
        """See `Connection.close`."""
        self._transport.close()

    def _started(self, command: Sequence[str], mode: str | None) -> Transport:
        """Start the adapter, and return its transport. Only the adapter knows its modes, so it is queried first."""
        transport = _transport_of("memory", command, self._limits)
        transport.start()
        modes = transport.client.hello.modes
        wanted = mode or modes[0]
        if wanted == transport.mode and wanted in modes:
            return transport
        transport.close()
        if wanted not in modes:
            raise UsageError(f"the adapter has no mode {wanted!r}; it has {', '.join(modes)}")
        transport = _transport_of(wanted, command, self._limits)
        transport.start()
        return transport

    def _item(self, case: Case) -> _Item:
        if isinstance(case, LifecycleCase):
            return _Item(case, None, batches=False)
        dialogue, *others = dialogues_of(case, self.claims.limits)
        if others:
            return _Item(case, dialogue, batches=False, pieces=others)
        return _Item(case, dialogue, self._transport.batches(case))

    def _chunks(self, items: Sequence[_Item]) -> Iterator[list[_Item]]:
        """Yield cases in chunks that are sent in the same manner, in one message if possible."""
        chunk: list[_Item] = []
        runs = size = 0
        for item in items:
            more_runs, more = item.extent
            most = self._batch if item.batches and self._batch > 1 else _SINGLY
            joins = chunk and item.batches == chunk[-1].batches
            if chunk and (not joins or runs + more_runs > most or size + more > _BATCH_BYTES):
                yield chunk
                chunk, runs, size = [], 0, 0
            chunk.append(item)
            runs += more_runs
            size += more
        if chunk:
            yield chunk

    def _observe(self, chunk: list[_Item]) -> list[Observation]:
        """Run the cases of a chunk, at least one: up to the first error, if a fresh start is to follow it."""
        try:
            return self._quickly(chunk)
        except BrokenError as error:
            first = error
        self._leftovers.expect((), ())
        self._restart()
        started = time.monotonic()
        alone = self._one_by_one(chunk)
        if any(isinstance(one.outcome, Broken) for one in alone):  # an error may have broken it later, in company
            return alone
        if first.how == "hang" and self._batches(chunk) and time.monotonic() - started > self._limits.answer:
            self._batch = 1  # each alone is answered in time, but this many together are not
            return alone
        return self._in_company(chunk, alone, first)

    def _in_company(self, chunk: list[_Item], alone: list[Observation], first: BrokenError) -> list[Observation]:
        """Charge a failure that needs earlier cases to the case where it occurs; one that never recurs, to the run."""
        found = self._shortest(chunk)
        if found is None:
            where = f"between {chunk[0].case.id} and {chunk[-1].case.id}"
            self._troubles.append(f"{first.how}, once, {where}, but not when repeated: {first.detail}")
            return alone
        length, error, stderr = found
        case = chunk[length - 1].case
        what = f"{error.detail}; only after the {length - 1} cases before it, not alone"
        alone[length - 1] = Observation(case, Broken(error.how, what), stderr)
        return alone

    def _shortest(self, chunk: list[_Item]) -> tuple[int, BrokenError, str] | None:
        """Return how many of the first cases it takes to break it again, how it breaks, and its stderr then."""
        good, bad = 0, len(chunk)
        found = None
        length = bad
        while bad - good > 1 or found is None:
            try:
                self._quickly(chunk[:length])
                if found is None:
                    return None
                good = length
            except BrokenError as error:
                bad, found = length, (length, error, self._restart())
            if self._is_exhausted:
                break
            length = (good + bad) // 2
        return found

    def _batches(self, chunk: list[_Item]) -> bool:
        return self._batch > 1 and len(chunk) > 1 and chunk[0].batches

    def _quickly(self, chunk: list[_Item]) -> list[Observation]:
        """Run without checks in between, up to the first error. Raises `BrokenError`."""
        self._renew()
        outcomes = self._together(chunk) if self._batches(chunk) else self._in_turn(chunk)
        self._settle()
        stderr = self._transport.stderr()
        return [Observation(item.case, outcome, stderr) for item, outcome in zip(chunk, outcomes, strict=False)]

    def _together(self, chunk: list[_Item]) -> list[Outcome]:
        """Run in one message; what comes after an error does not count."""
        dialogues = [item.dialogue for item in chunk if item.dialogue is not None]
        replies = iter(self._transport.client.batch([run for dialogue in dialogues for run in dialogue.runs]))
        errors: list[str] = []
        outcomes: list[Outcome] = []
        until = len(dialogues)
        for number, dialogue in enumerate(dialogues, 1):
            its = [next(replies) for _ in dialogue.runs]
            outcomes.append(self._transport.replied(dialogue, its))
            if number > until:
                continue
            errors += [reply.detail for reply in its if isinstance(reply, ErrorReply)]
            if self._is_stained and not self._leftovers.none_from(errors):
                until = number
        self._leftovers.compare(outcomes[:until])
        self._leftovers.expect(errors, outcomes[until:])
        return outcomes[:until]

    def _in_turn(self, chunk: list[_Item]) -> list[Outcome]:
        """Run in a message each; nothing comes after an error."""
        outcomes: list[Outcome] = []
        for item in chunk:
            outcomes.append(self._put(item))
            if self._is_stained:
                break
        self._leftovers.compare(outcomes)
        return outcomes

    def _put(self, item: _Item) -> Outcome:
        if item.pieces and item.dialogue is not None:
            return joined([self._transport.run(dialogue) for dialogue in (item.dialogue, *item.pieces)])
        if item.dialogue is not None:
            return self._transport.run(item.dialogue)
        assert isinstance(item.case, LifecycleCase)  # noqa: S101 (what `_item` made)
        return self._transport.play(item.case)

    def _one_by_one(self, chunk: list[_Item]) -> list[Observation]:
        """Run each alone, and check that it left the adapter in order."""
        observed: list[Observation] = []
        for number, item in enumerate(chunk):
            if self._is_exhausted:
                return observed + self._exhausted(chunk[number:])
            try:
                self._renew()
                outcome = self._put(item)
                self._settle()
                observed.append(Observation(item.case, outcome, self._transport.stderr()))
            except BrokenError as error:
                observed.append(Observation(item.case, Broken(error.how, error.detail), self._restart()))
        return observed

    def _settle(self) -> None:
        """Check that nothing is left over from the runs so far. Raises `BrokenError`.

        After an error the adapter may answer anything, and a fresh start is near: its output is all that is checked.
        """
        if not self._is_stained:
            self._settle_client()
        self._transport.check_nothing_left()

    def _settle_client(self) -> None:
        client = self._transport.client
        erred = bool(client.errors)
        try:
            client.settle()
        except AdapterBrokenError as error:
            if erred:  # no fresh start was left, and this is what the error left behind
                raise BrokenError("error", error.what) from error
            raise

    def _renew(self) -> None:
        """Start afresh if there was an error, within the limit: what it leaves behind is not charged to others."""
        if self._is_stained:
            self._start_afresh()

    def _start_afresh(self) -> None:
        self._renewals += 1
        self._transport.renew()

    def _restart(self) -> str:
        """Restart, within the limit, and return what was written to stderr before that."""
        stderr = self._transport.stderr()
        while True:
            self._restarts += 1
            self._transport.stop()
            if self._is_exhausted:
                return stderr
            self._transport.start()
            with contextlib.suppress(BrokenError):
                honesty.examine(self._transport, self._probes)
                return stderr

    def _exhausted(self, chunk: list[_Item]) -> list[Observation]:
        reason = f"was not run: the adapter had to be restarted {self._limits.restarts} times (--restarts)"
        return [Observation(item.case, Broken("blocked", reason), "") for item in chunk]


def _transport_of(mode: str, command: Sequence[str], limits: Limits) -> Transport:
    """Return the transport of a mode."""
    match mode:
        case "memory":
            return MemoryTransport(command, limits)
        case "wire":
            return WireTransport(command, limits)
        case "device-fd" | "device-create" | "device-attach":
            from tunproof.subjects.adapters.device import DeviceTransport  # noqa: PLC0415 (most runs need none of it)

            return DeviceTransport(command, limits, mode)
    raise ValueError(f"there is no mode {mode!r}")


def _on_stderr(text: str) -> str:
    return f"\n  on stderr: {text.strip()}" if text.strip() else ""
