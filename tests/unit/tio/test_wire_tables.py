"""The tables of header fields, against scapy, which builds IP, TCP and UDP headers, and ctypes, which lays out C's."""

import ctypes
from collections.abc import Iterator

import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from tio.virtio import HEADER_SIZE, HEADER_SIZES, VnetHeader
from tio.wire import (
    Bits,
    Field,
    GsoType,
    IPv4Layout,
    IPv6Layout,
    Layout,
    TcpFlag,
    TcpLayout,
    TunnelLayout,
    UdpLayout,
    VnetFlag,
    VnetLayout,
)
from tunproof.corpus.cases import EmitInput, ParseInput, VnetFields

LAYOUTS = (VnetLayout, IPv4Layout, IPv6Layout, TcpLayout, UdpLayout)
SHARED = [field for layout in LAYOUTS[1:] for field in layout.fields if field.bits]

ANY = "0.0.0.0"  # noqa: S104 (nothing is bound to it)
NOTHING: dict[type[Layout], Packet] = {
    IPv4Layout: IP(version=0, ihl=0, tos=0, len=0, id=0, flags=0, frag=0, ttl=0, proto=0, chksum=0, src=ANY, dst=ANY),
    IPv6Layout: IPv6(version=0, tc=0, fl=0, plen=0, nh=0, hlim=0, src="::", dst="::"),
    TcpLayout: TCP(sport=0, dport=0, seq=0, ack=0, dataofs=0, reserved=0, flags=0, window=0, chksum=0, urgptr=0),
    UdpLayout: UDP(sport=0, dport=0, len=0, chksum=0),
}
"""Headers of zeros."""

ONES: dict[type[Layout], dict[str, dict[str, object]]] = {
    IPv4Layout: {
        "version": {"version": 0xF},
        "IHL": {"ihl": 0xF},
        "DSCP": {"tos": 0xFC},
        "ECN": {"tos": 0x03},
        "total_length": {"len": 0xFFFF},
        "identification": {"id": 0xFFFF},
        "reserved": {"flags": "evil"},
        "DF": {"flags": "DF"},
        "MF": {"flags": "MF"},
        "fragment_offset": {"frag": 0x1FFF},
        "ttl": {"ttl": 0xFF},
        "protocol": {"proto": 0xFF},
        "checksum": {"chksum": 0xFFFF},
        "source": {"src": "255.255.255.255"},
        "destination": {"dst": "255.255.255.255"},
    },
    IPv6Layout: {
        "version": {"version": 0xF},
        "traffic_class": {"tc": 0xFF},
        "flow_label": {"fl": 0xFFFFF},
        "payload_length": {"plen": 0xFFFF},
        "next_header": {"nh": 0xFF},
        "hop_limit": {"hlim": 0xFF},
        "source": {"src": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        "destination": {"dst": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    },
    TcpLayout: {
        "source_port": {"sport": 0xFFFF},
        "destination_port": {"dport": 0xFFFF},
        "sequence": {"seq": 0xFFFFFFFF},
        "acknowledgment": {"ack": 0xFFFFFFFF},
        "data_offset": {"dataofs": 0xF},
        "reserved": {"reserved": 0x7, "flags": "N"},  # scapy calls the fourth bit NS, as RFC 3540 did
        **{flag.name or "": {"flags": letter} for flag, letter in zip(TcpFlag, "FSRPAUEC", strict=True)},
        "window": {"window": 0xFFFF},
        "checksum": {"chksum": 0xFFFF},
        "urgent_pointer": {"urgptr": 0xFFFF},
    },
    UdpLayout: {
        "source_port": {"sport": 0xFFFF},
        "destination_port": {"dport": 0xFFFF},
        "length": {"len": 0xFFFF},
        "checksum": {"chksum": 0xFFFF},
    },
}
"""What scapy is told so that one field, or one number of a shared field, is all ones."""


class Vnet(ctypes.Structure):
    """`struct virtio_net_hdr_v1_hash_tunnel` of the kernel; the shorter headers are its beginning."""

    _fields_ = (
        ("flags", ctypes.c_uint8),
        ("gso_type", ctypes.c_uint8),
        ("hdr_len", ctypes.c_uint16),
        ("gso_size", ctypes.c_uint16),
        ("csum_start", ctypes.c_uint16),
        ("csum_offset", ctypes.c_uint16),
        ("num_buffers", ctypes.c_uint16),
        ("hash_value", ctypes.c_uint32),
        ("hash_report", ctypes.c_uint16),
        ("padding_reserved", ctypes.c_uint16),
        ("outer_th_offset", ctypes.c_uint16),
        ("inner_nh_offset", ctypes.c_uint16),
    )


def parts(layout: type[Layout]) -> Iterator[tuple[str, int]]:
    """Yield each number of a header by name, and the bits of the whole header that it takes."""
    for field in layout.fields:
        behind = 8 * (layout.size - field.end)
        for part in field.bits or (Bits(field.name, 0, 8 * field.width),):
            yield part.name, part.mask << behind


@pytest.mark.parametrize("layout", [*LAYOUTS, TunnelLayout])
def test_fields_tile_their_header(layout: type[Layout]) -> None:
    start = VnetLayout.REST.offset if layout is TunnelLayout else 0
    for field in layout.fields:
        assert field.offset == start, field.name
        start = field.end
    assert start == layout.size


@pytest.mark.parametrize("field", SHARED, ids=lambda field: field.name)
def test_the_bits_of_a_shared_field_tile_it_from_the_highest(field: Field) -> None:
    end = 8 * field.width
    for bits in field.bits:
        assert bits.shift + bits.width == end, bits.name
        end = bits.shift
    assert end == 0


@pytest.mark.parametrize(("layout", "name", "mask"), [(layout, *part) for layout in NOTHING for part in parts(layout)])
def test_scapy_has_each_field_in_the_same_place(layout: type[Layout], name: str, mask: int) -> None:
    header = NOTHING[layout].copy()
    for key, value in ONES[layout][name].items():
        setattr(header, key, value)
    assert len(raw(header)) == layout.size
    assert f"{int.from_bytes(raw(header), 'big'):x}" == f"{mask:x}"


@pytest.mark.parametrize("layout", NOTHING)
def test_scapy_has_no_field_that_a_table_lacks(layout: type[Layout]) -> None:
    assert {name for name, _ in parts(layout)} == set(ONES[layout])


def test_c_lays_the_vnet_header_out_like_this() -> None:
    fields = [*VnetLayout.within(VnetLayout.REST.offset), *TunnelLayout.fields]
    assert [field.name for field in fields] == [name for name, _ in Vnet._fields_]
    for field in fields:
        place = getattr(Vnet, field.name)
        assert (field.offset, field.width) == (place.offset, place.size), field.name
    assert (VnetLayout.REST.end, TunnelLayout.size) == (ctypes.sizeof(Vnet), ctypes.sizeof(Vnet))


def test_vnet_headers_end_behind_whole_fields() -> None:
    assert HEADER_SIZES == (Vnet.num_buffers.offset, Vnet.hash_value.offset, ctypes.sizeof(Vnet)) == (10, 12, 24)
    assert HEADER_SIZE == 10
    assert all(VnetLayout.within(size)[-1].end == size for size in HEADER_SIZES)


def test_a_case_about_a_vnet_header_has_the_usual_size_unless_it_says_another() -> None:
    fields = VnetFields(**{field.name: 0 for field in VnetLayout.within(HEADER_SIZE)})
    assert ParseInput(bytes=b"").size == EmitInput(fields=fields).size == HEADER_SIZE


def test_a_parsed_vnet_header_has_the_fields_of_the_table() -> None:
    assert VnetHeader._fields == tuple(field.name for field in VnetLayout.fields)


def test_flags_and_types_have_the_numbers_of_the_kernels_header() -> None:
    assert {bits.name: bits.mask for bits in VnetLayout.FLAGS.bits} == {"NEEDS_CSUM": 1, "DATA_VALID": 2, "RSC_INFO": 4}
    assert {flag.name: int(flag) for flag in VnetFlag} == {"NEEDS_CSUM": 1, "DATA_VALID": 2, "RSC_INFO": 4}
    assert {kind.name: int(kind) for kind in GsoType} == {
        "NONE": 0,
        "TCPV4": 1,
        "UDP": 3,
        "TCPV6": 4,
        "UDP_L4": 5,
        "ECN": 0x80,
    }


def test_bits_are_cut_out_of_a_number() -> None:
    assert (IPv4Layout.VERSION.of(0x46), IPv4Layout.IHL.of(0x46)) == (4, 6)
    assert IPv4Layout.FRAGMENT_OFFSET.of(0xFFFF) == 0x1FFF
    assert (IPv6Layout.TRAFFIC_CLASS.of(0x6ABCDEF0), IPv6Layout.FLOW_LABEL.of(0x6ABCDEF0)) == (0xAB, 0xCDEF0)


@pytest.mark.parametrize("layout", [IPv4Layout, IPv6Layout])
def test_addresses_are_both_of_them(layout: type[IPv4Layout] | type[IPv6Layout]) -> None:
    header = bytes(range(layout.size))
    assert header[layout.ADDRESSES] == header[layout.SOURCE.span] + header[layout.DESTINATION.span]


@pytest.mark.parametrize("layout", [TcpLayout, UdpLayout])
def test_ports_are_both_of_them(layout: type[TcpLayout] | type[UdpLayout]) -> None:
    header = bytes(range(layout.size))
    assert header[layout.PORTS] == header[layout.SOURCE_PORT.span] + header[layout.DESTINATION_PORT.span]
