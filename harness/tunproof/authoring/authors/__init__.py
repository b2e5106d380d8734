"""The authors: one module a topic or a few, each with `TOPICS`. Order here is order of files and of nothing else.

Places and sizes are numbers here, not read from `tio.wire`: a wrong table must make cases fail, not change them.
"""

from tunproof.authoring.authors import (
    checksum,
    header,
    lifecycle_devices,
    lifecycle_queues,
    lifecycle_traffic,
    read_faults,
    read_ipv4,
    read_ipv6,
    read_kernels,
    read_segments,
    read_sequences,
    read_single,
    read_tcp,
    read_udp,
    read_vnet,
    write,
    write_batch_flags,
    write_batch_flows,
    write_batch_limits,
    write_batch_ordering,
    write_batch_pairs,
    write_batch_state,
    write_batch_sums,
    write_batch_transport,
    write_gso_fields,
    write_gso_refusals,
    write_gso_superpackets,
)
from tunproof.authoring.draft import Draft, Topic

__all__ = ["drafts"]

_MODULES = (
    checksum,
    header,
    read_tcp,
    read_udp,
    read_single,
    read_faults,
    read_vnet,
    read_ipv4,
    read_ipv6,
    read_segments,
    read_kernels,
    read_sequences,
    write,
    write_gso_superpackets,
    write_gso_fields,
    write_gso_refusals,
    write_batch_pairs,
    write_batch_transport,
    write_batch_flags,
    write_batch_flows,
    write_batch_ordering,
    write_batch_sums,
    write_batch_limits,
    write_batch_state,
    lifecycle_queues,
    lifecycle_traffic,
    lifecycle_devices,
)


def drafts() -> list[Draft]:
    """Return every draft of every topic."""
    topics: list[Topic] = [topic for module in _MODULES for topic in module.TOPICS]
    return [draft for topic in topics for draft in topic.drafts]
