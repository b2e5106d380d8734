"""Handling a difference: it is kept as it was met, then minimised, named, and kept again.

What goes wrong on the way costs a smaller input or a name, never the finding: it stays as it was met.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from tunfuzz.peer import report
from tunfuzz.peer.cases import Input, case_of
from tunfuzz.peer.judging import Judged, judged
from tunfuzz.peer.mishaps import Mishaps
from tunfuzz.peer.report import Kept
from tunfuzz.peer.request import Request
from tunfuzz.peer.resemblance import Resemblance
from tunfuzz.peer.smaller import minimise, minimise_before
from tunfuzz.uninterrupted import uninterrupted
from tunproof.corpus.cases import BatchInput, GsoArguments, GsoInput, ReadInput, WriteInput
from tunproof.corpus.load import Corpus
from tunproof.errors import TunproofError
from tunproof.judge.verdict import Kind
from tunproof.subjects.connection import Connection
from tunproof.subjects.reference import Reference

__all__ = ["Finder", "look"]

_MOST_BEFORE: Final = 32  # earlier inputs that a difference may need
_TESTS: Final = {
    Kind.FAIL: 2000,
    Kind.ERROR: 2000,
    Kind.CRASH: 30,
    Kind.PROTOCOL_ERROR: 30,
}  # the latter cost a restart
_FEW_TESTS: Final = 6  # for failures that take seconds each: a hang, memory
_FRESH: Final = 12  # tests that restart the subject
_SECONDS: Final = 4.0
_UNLIKE: Final = "Resembles none of the known classes of bugs."
_FAILED: Final = "It is as it was met: tunproof failed to make it smaller, which is a bug in tunproof."


def look(given: Input, connection: Connection, reference: Reference) -> Judged:
    """Run one input against both."""
    case = case_of(given, reference)
    (observed,) = connection.observe([case])
    return judged(observed, claims=connection.capabilities is not None)


class Finder:
    """Turns differences into findings, and reports them in `findings`; bugs of tunproof go into `mishaps`."""

    def __init__(  # noqa: PLR0913 (two sides, what is known, and where two kinds of results go)
        self,
        connection: Connection,
        reference: Reference,
        corpus: Corpus,
        request: Request,
        *,
        findings: list[Kept],
        mishaps: Mishaps,
    ) -> None:
        self._connection = connection
        self._reference = reference
        self._corpus = corpus
        self._request = request
        self._findings = findings
        self._mishaps = mishaps
        self._resemblance = Resemblance(lambda: request.connector.open(corpus), corpus)

    def keep(self, one: Judged, number: int, earlier: Sequence[Input]) -> None:
        """Keep a difference. `earlier` are the inputs before it, of its operation.

        It is on disk as it was met, and reported, before anything else runs.
        """
        with uninterrupted():
            self._findings.append(report.unwritten(one))
            self._findings[-1] = first = self._keep(one, number)
        attempt = self._mishaps.attempt
        smaller, details = attempt("making a finding smaller", lambda: self._smallest(one, earlier)) or (one, _FAILED)
        flag, like = attempt("naming a finding", lambda: self._resemblance.of(first.operation, one.rule)) or ("", "")
        effect = f"Resembles {flag} ({like}): {self._corpus.flags[flag].effect}" if flag else _UNLIKE
        details = "\n\n".join(filter(None, (details, effect)))
        with uninterrupted():
            self._findings[-1] = self._keep(
                smaller, number, flag=flag, like=like, details=details, instead_of=Path(first.folder)
            )

    def _keep(  # noqa: PLR0913 (what is known of it)
        self,
        one: Judged,
        number: int,
        *,
        flag: str = "",
        like: str = "",
        details: str = "",
        instead_of: Path | None = None,
    ) -> Kept:
        kept = report.keep(
            self._request.out,
            one,
            subject=self._connection.name,
            words=self._request.connector.command[2:],
            seed=self._request.seed,
            number=number,
            flag=flag,
            details=details,
            instead_of=instead_of,
        )
        return Kept(
            folder=str(self._request.out / kept.folder),
            title=kept.title,
            rule=kept.rule,
            operation=kept.operation,
            flag=flag,
            effect=self._corpus.flags[flag].effect if flag else "",
            like=like,
        )

    def _smallest(self, one: Judged, earlier: Sequence[Input]) -> tuple[Judged, str]:
        """Return the difference with the smallest input that shows it on a fresh subject, and a remark."""
        if self._afresh(one).again(one.given):
            tries = self._minimised(one)
            confirmed = self._afresh(one)
            return (confirmed.best, "") if confirmed.again(tries.best.given) else (one, "")
        behind = self._afresh(one)
        given = _behind(one.given, earlier)
        if given is None or not behind.again(given):
            return one, "It did not recur: neither alone nor after the inputs before it."
        fresh = _Tries(self._look_afresh, one, self._note, most=_FRESH)
        fresh.best = behind.best
        minimise_before(given, fresh.again, note=self._note)
        return fresh.best, ""

    def _minimised(self, one: Judged) -> "_Tries":
        """Try smaller inputs on a subject of their own, which is left running after errors: there may be thousands."""
        connector = self._request.connector
        with replace(connector, limits=replace(connector.limits, renewals=0)).open(self._corpus) as connection:
            tries = _Tries(lambda given: look(given, connection, self._reference), one, self._note)
            minimise(one.given, tries.again, note=self._note)
        return tries

    def _look_afresh(self, given: Input) -> Judged:
        """Run one input against the reference and a freshly started subject."""
        with self._request.connector.open(self._corpus) as connection:
            return look(given, connection, self._reference)

    def _afresh(self, one: Judged) -> "_Tries":
        return _Tries(self._look_afresh, one, self._note)

    def _note(self, error: Exception) -> None:
        self._mishaps.note("trying a smaller input", error)


class _Tries:
    """Tests whether an input still shows a difference, within limits. `best` is the latest that did.

    An input that tunproof itself cannot handle shows nothing, and `note` gets the error.
    """

    def __init__(
        self,
        look_at: Callable[[Input], Judged],
        one: Judged,
        note: Callable[[Exception], None],
        *,
        most: int | None = None,
    ) -> None:
        self._look = look_at
        self._note = note
        self._rule = one.rule
        self._left = _TESTS.get(one.verdict.kind, _FEW_TESTS) if most is None else most
        self._end = time.monotonic() + _SECONDS
        self.best = one

    def again(self, given: Input) -> bool:
        self._left -= 1
        if self._left < 0 or time.monotonic() > self._end:
            return False
        try:
            one = self._look(given)
        except TunproofError:
            raise
        except Exception as error:  # noqa: BLE001 (a smaller input is not worth a finding)
            self._note(error)
            return False
        if one.rule != self._rule:
            return False
        self.best = one
        return True


def _behind(given: Any, earlier: Sequence[Any]) -> Any:
    """Return the input after the earlier ones, whose leftovers it may need; None if nothing can come before it."""
    if not hasattr(given, "before") or not earlier:
        return None
    before = tuple(map(_as_before, earlier[-_MOST_BEFORE:]))
    return msgspec.structs.replace(given, before=before + given.before)


def _as_before(given: Any) -> Any:
    match given:
        case ReadInput(frame=frame):
            return frame
        case WriteInput(packet=packet):
            return packet
        case BatchInput(packets=packets):
            return packets
        case GsoInput(hdr=hdr, transport_hdr=transport_hdr, pays=pays):
            return GsoArguments(hdr=hdr, transport_hdr=transport_hdr, pays=pays)
    raise TypeError(f"nothing comes before {type(given).__name__}")
