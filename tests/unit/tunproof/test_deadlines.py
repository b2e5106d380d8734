"""How long an adapter has for an answer: longer for more runs, and for a message that takes time to read."""

import pytest

from tunproof.protocol.messages import OkReply
from tunproof.subjects.adapters.client import Client, EncodedRun
from tunproof.subjects.adapters.process import Limits

_HELLO = (
    b'{"protocol":1,"implementation":{"name":"n","version":"1","language":"C"},"ops":["checksum"],"capabilities":[],'
    b'"modes":["memory"]}'
)


class Patient:
    """Stands in for a process, and remembers how long it was given."""

    unrequested = b""

    def __init__(self) -> None:
        self.given: list[float] = []

    def ask(self, line: bytes, patience: float, _: object) -> bytes:
        self.given.append(patience)
        return _HELLO if b"hello" in line else b'{"id":1,"status":"ok","sum":1}'


def patience_for(hex_digits: int) -> float:
    process = Patient()
    client = Client(process, Limits(answer=2.0, start=30.0))  # type: ignore[arg-type]
    run = EncodedRun("checksum", b'{"data":"%s","initial":0}' % (b"0" * hex_digits))
    assert isinstance(client.run(run), OkReply)
    assert process.given[0] == 30.0
    return process.given[1]


@pytest.mark.parametrize(
    ("hex_digits", "least", "most"), [(0, 2, 2), (60_000, 2, 2), (1_000_000, 3, 4), (10**7, 20, 23)]
)
def test_a_long_message_has_more_time(hex_digits: int, least: float, most: float) -> None:
    assert least <= patience_for(hex_digits) <= most
