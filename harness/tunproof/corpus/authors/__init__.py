"""The authors: one module a topic or two, each with `TOPICS`. Order here is order of files and of nothing else."""

from tunproof.corpus.authoring import Draft, Topic
from tunproof.corpus.authors import (
    read_faults,
    read_single,
    read_tcp,
    read_udp,
    write_gso_refusals,
    write_gso_superpackets,
)

__all__ = ["drafts"]

_MODULES = (read_tcp, read_udp, read_single, read_faults, write_gso_superpackets, write_gso_refusals)


def drafts() -> list[Draft]:
    """Return every draft of every topic."""
    topics: list[Topic] = [topic for module in _MODULES for topic in module.TOPICS]
    return [draft for topic in topics for draft in topic.drafts]
