"""What scapy says about the checksums of a packet: an opinion that shares neither code nor tables with the reference.

A module of its own because importing scapy takes as long as a thousand examples.
"""

from scapy.layers.inet import IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.utils import checksum

import tio
from tunfuzz.values import Framed

__all__ = ["check_scapy_agrees"]


def check_scapy_agrees(framed: Framed) -> None:
    """Test that every segment has the checksums that scapy computes for it, and the lengths that scapy reads."""
    for index, packet in enumerate(tio.segment(framed.frame())):
        problem = _problem(packet)
        if problem:
            raise AssertionError(f"segment {index}: {problem}")


def _problem(packet: bytes) -> str | None:
    layers = IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)
    if packet[0] >> 4 == 4:
        header = packet[: layers.ihl * 4]
        if checksum(header) != 0:
            return f"the IPv4 header checksum is {layers.chksum:#06x}"
        if layers.len != len(packet):
            return f"the total length is {layers.len} for {len(packet)} bytes"
    elif layers.plen + 40 != len(packet):
        return f"the payload length is {layers.plen} for {len(packet)} bytes"
    return _transport_problem(layers, packet)


def _transport_problem(layers: object, packet: bytes) -> str | None:
    kind, number, at = (TCP, 6, 16) if layers.haslayer(TCP) else (UDP, 17, 6)  # type: ignore[attr-defined]
    transport = layers[kind]  # type: ignore[index]
    data = packet[len(packet) - len(transport.original) :]
    if number == 17 and transport.len != len(data):
        return f"the UDP length is {transport.len} for {len(data)} bytes"
    zeroed = data[:at] + b"\0\0" + data[at + 2 :]
    if packet[0] >> 4 == 4:
        wanted = in4_chksum(number, layers, zeroed)
    else:
        wanted = in6_chksum(number, transport.underlayer, zeroed)
    if number == 17:
        wanted = wanted or 0xFFFF
    found = int.from_bytes(data[at : at + 2], "big")
    return None if found == wanted else f"the checksum is {found:#06x}, scapy says {wanted:#06x}"
