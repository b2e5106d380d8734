"""Any bytes as a file of the corpus are cases that can be written and read again, or a `CorpusError`, and nothing else.

An input is such a file. It is read as if it were in the folder of the operation that its first id names.
"""

import re
from pathlib import PosixPath

from tunproof.corpus.codec import encode
from tunproof.corpus.load import Corpus, load_file
from tunproof.errors import CorpusError

__all__ = ["check"]

_OPERATION = re.compile(rb'"id"\s*:\s*"([a-z_]+)/')


class _InMemory(PosixPath):
    """A file in memory: this must be fast."""

    content: bytes

    def read_bytes(self) -> bytes:
        return self.content


def check(data: bytes) -> None:
    """Test the invariant."""
    try:
        file = load_file(_file(data))
    except CorpusError as error:
        assert str(error), "an error must say what is wrong"
        return
    assert load_file(_file(encode(file))) == file, "written and read again it is another file"
    cases = Corpus([file]).cases
    assert len(cases) <= len(file.cases)
    for case in cases.values():
        assert not case.kernel or case.answer_of(frozenset()), f"{case.id}: a kernel without traits has no answer"


def _file(content: bytes) -> _InMemory:
    found = _OPERATION.search(content)
    path = _InMemory(found[1].decode() if found else "read", "given.json")
    path.content = content
    return path
