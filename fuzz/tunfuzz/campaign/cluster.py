"""Shards over a Dask cluster.

The scheduler gives a shard to another worker when one dies; what this adds is that findings arrive here before a shard
counts as finished, and that waits for a missing scheduler or worker are bounded.
"""

import contextlib
import logging
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from tunfuzz.campaign.answers import ATTEMPTS, Answer, GivenUp, Obstacle
from tunfuzz.shard import Shard, ShardRunner
from tunproof.errors import EnvironmentProblem, UsageError
from tunproof.runs import findings
from tunproof.version import __version__

if TYPE_CHECKING:
    from tunfuzz.campaign.remote import Report

__all__ = ["Cluster", "connected"]

_CONNECT: Final = 5.0  # seconds for a scheduler to answer, and again for it to have a worker
_CLOSE: Final = 2.0


@contextlib.contextmanager
def connected(address: str) -> Iterator["Cluster"]:
    """Connect to a scheduler that has a worker. Raises `EnvironmentProblem`, `UsageError` for an invalid address."""
    client = _client(address)
    try:
        _find_worker(client, address)
        yield Cluster(client, address)
    finally:
        with contextlib.suppress(OSError):  # the scheduler may be gone
            client.close(timeout=_CLOSE)


def _client(address: str) -> Any:
    try:
        from distributed import Client  # noqa: PLC0415 (an optional extra)
        from distributed.comm import get_address_host_port  # noqa: PLC0415
    except ImportError as error:
        what = "a Dask cluster needs the package distributed, which is not installed"
        raise EnvironmentProblem(what, cure="pip install 'tunproof[cluster]'") from error
    for name in ("distributed", "distributed.client"):  # the exceptions raised here say it all
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        get_address_host_port(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is not a scheduler's address, such as tcp://192.0.2.1:8786: {error}") from error
    try:
        return Client(address, timeout=_CONNECT, set_as_default=False)
    except OSError as error:
        what = f"no Dask scheduler answers at {address} within {_CONNECT:g} s"
        raise EnvironmentProblem(what, cure="start one (`dask scheduler`), or correct the address") from error


def _find_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_CONNECT)
    except TimeoutError as error:
        raise EnvironmentProblem(
            f"the Dask scheduler at {address} has no worker",
            cure=f"start some, each where a lab can be made: `dask worker {address} --nthreads 1`",
        ) from error


class Cluster:
    """A connection to a scheduler."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address

    def ask(self, runner: ShardRunner, out: Path, deadline: float, shards: Iterable[Shard]) -> Generator[Answer]:
        """Yield an answer for each shard as it arrives; its findings are in `out`. Raises `EnvironmentProblem`."""
        from tunfuzz.campaign.remote import ask_here  # noqa: PLC0415 (needs the extra)

        patience = deadline * (ATTEMPTS + 1)
        done: SimpleQueue[Any] = SimpleQueue()
        pending: dict[str, tuple[Any, Shard]] = {}
        try:
            for shard in shards:
                future = self._client.submit(ask_here, runner, shard, deadline, pure=False)
                pending[future.key] = future, shard
                future.add_done_callback(done.put)
            while pending:
                future = self._next(done, patience)
                _, shard = pending.pop(future.key)
                yield self._answer(future, shard, out, patience)
                future.release()  # the scheduler would rerun what it still knows when the worker dies
        finally:
            with contextlib.suppress(OSError):
                self._client.cancel([future for future, _ in pending.values()])

    def _next(self, done: "SimpleQueue[Any]", patience: float) -> Any:
        try:
            return done.get(timeout=patience)
        except Empty:
            what = f"no worker of the Dask scheduler at {self._address} finished a shard within {patience:g} s"
            raise EnvironmentProblem(what, cure="check its workers, then continue with --resume") from None

    def _answer(self, future: Any, shard: Shard, out: Path, patience: float) -> Answer:
        try:
            report: Report = future.result(timeout=patience)
        except (CancelledError, TimeoutError) as error:
            what = f"the Dask scheduler at {self._address} is gone"
            raise EnvironmentProblem(what, cure="restart it, then continue with --resume") from error
        except Exception as error:  # noqa: BLE001 (KilledWorker, after as many workers as Dask allows; a failed import)
            return GivenUp(shard, f"{type(error).__name__}: {error}")
        if report.version != __version__:
            what = f"a worker of the cluster has tunproof {report.version}, and here it is {__version__}"
            raise EnvironmentProblem(what, cure="install the same version everywhere: others run other cases")
        for finding in report.findings:
            findings.keep(out, finding)
        if isinstance(report.answer, Obstacle):
            raise EnvironmentProblem(report.answer.what, cure=report.answer.cure)
        return report.answer
