"""The model with one rule flipped on purpose: what a differential is worth is whether it notices.

A refusal and a loss are flipped by never holding. A fact has its flip here: the mistake that is nearest at hand.

Some losses show inside the kernel only: without them a later one loses the very same packets. A model in which they
never hold is right, so those are flipped by holding for all others instead; so are those that guard what is read next.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tio.linux import RULES
from tio.virtio import HEADER_SIZE
from tio.wire import IPv6Layout, UdpLayout

__all__ = ["FLIPS", "GUARDS", "SHADOWED", "flipped"]

SHADOWED = {
    "ip_header_cut_off": "transport_header_cut_off",
    "ihl_beyond_the_packet": "transport_header_cut_off",
    "extension_not_walked": "protocol_of_another_type",
    "data_offset_beyond_the_packet": "tcp_payload_not_longer",
    "ipv4_header_cut_off": "ipv4_header_checksum_wrong",
    "ipv6_header_cut_off": "payload_length_beyond_the_packet",
}
"""Losses that a later one makes good for, and which: whether they hold at all, nobody outside can tell."""

GUARDS = frozenset({"transport_header_cut_off", "hop_header_cut_off"})
"""Losses without which there is nothing to read: a model in which they never hold says nothing, it falls over."""

_IPV6, _NEXT_HEADER = IPv6Layout.size, IPv6Layout.NEXT_HEADER.offset

FLIPS: dict[str, Callable[..., Any]] = {
    "linear_length": lambda _: 0,
    "counted_headers": lambda skb: skb.csum_start + skb.transport - 1 if skb.needs_csum else 20 + skb.transport,
    "counted_headers_without_ip": lambda skb: skb.csum_start + skb.transport - 1 if skb.needs_csum else 20,
    "counted_headers_dissected": lambda skb: skb.csum_start + skb.transport - 1 if skb.needs_csum else 40,
    "raised_gso_size": lambda skb: skb.raw_gso_size,
    "ufo_taken_for_ipv6": lambda _: False,
    "ufo_counts_its_header": lambda _: 0,
    "nothing_to_cut": lambda skb, size: len(skb.data) - skb.headers < size,
    "walked_extensions": lambda data: (data[_NEXT_HEADER], _IPV6) if len(data) >= _IPV6 else (-1, 0),
    "jumbo_header_is_cut_out": lambda _: False,
    "jumbo_option_over_tcp": lambda data: data[_IPV6 + 8 :],
    "ipv4_id": lambda first, _: first,
    "ipv4_total_length": lambda _: 0,
    "ipv4_header_checksum": lambda _: 0,
    "ipv6_payload_length": lambda length: length & 0xFFFF,
    "tcp_sequence": lambda first, _: first,
    "cwr_on_the_first_only": lambda flags: flags,
    "fin_and_psh_on_the_last_only": lambda flags: flags,
    "carried_partial": lambda partial, *_: partial,
    "whole_length": lambda length: length & 0xFFFF,
    "whole_length_in_16_bits": lambda length: (length & 0xFFFF) + (length >> 16),
    "partial_of_the_kernel": lambda _: 0,
    "tcp_zero": lambda _: 0xFFFF,
    "udp_length": lambda length: length - 8,
    "udp_partial": lambda partial, *_: partial,
    "udp_zero": lambda _: 0,
    "ufo_checksum": lambda skb: int.from_bytes(skb.data[skb.l4 :][UdpLayout.CHECKSUM.span], "big"),
    "ipv4_fragment_offset": lambda before, **_: before >> 3,
    "ipv6_fragment_offset": lambda before, *, more: before & 0xFFF8 | more,
    "ipv6_fragment_counts": lambda length, header_end: length - header_end,
    "unfragmentable_part": lambda _: (_IPV6, _NEXT_HEADER),
    "completed_checksum": lambda total: total,
    "completed_zero": lambda _: 0,
    "outer_udp_length": lambda length: length - 8,
    "outer_udp_checksum": lambda *_: 0,
    "gre_is_copied": lambda _: False,
    "trimmed": lambda skb, _: skb.data,
    "cut_before_the_link": lambda *_: False,
    "checksum_of_a_lower_ttl": lambda value: (value + 0x100) & 0xFFFF,
    "recorded_route": lambda *_: False,
    "missed_timestamp": lambda *_: False,
    "cleared_after_the_end": lambda *_: False,
    "segment_length": lambda skb: skb.l4 + skb.gso_size,
    "fragment_payload": lambda room: room,
    "fragment_bits": lambda _, before, *, more: before >> 3 | (0x2000 if more else 0),
    "options_of_later_fragments": lambda header: header,
    "ipv6_length": lambda skb: len(skb.data),
    "ipv6_length_of_tcp": lambda skb: len(skb.data) - 1,
    "jumbo_length": lambda *_: _IPV6 + 8,
    "offload_of": lambda _: 1,
    "ecn_needs_its_own_offload": lambda *_: True,
    "too_long_to_be_whole": lambda _: False,
    "more_segments_than_the_link_takes": lambda *_: False,
    "linear_bytes": lambda skb, _: len(skb.data) - 1,
    "linear_bytes_uncapped": lambda skb, _: len(skb.data) - 1,
    "partial_fields": lambda *_: bytes(HEADER_SIZE),
    "known_good": lambda: bytes(HEADER_SIZE),
    "padding": lambda size: b"\xff" * size,
}
"""The flip of each fact, by the rule's name."""


@contextmanager
def flipped(name: str) -> Iterator[None]:
    """Flip a rule for the block; models that are made in the block have the flip."""
    rule = RULES[name]
    if rule.kind == "fact":
        wrong = FLIPS[name]
    elif name in SHADOWED or name in GUARDS:
        wrong = _opposite(rule.function)
    else:
        wrong = _never
    with patch(f"{rule.module}.{name}", wrong):
        yield


def _never(*_: object) -> bool:
    return False


def _opposite(function: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *arguments: not function(*arguments)
