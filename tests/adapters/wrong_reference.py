"""The reference adapter with one bug, or another manner, to check that all modes show it: `wrong_reference.py BUG`."""

import sys

import tio
from tunproof.protocol.kits.adapter import Rejected
from tunproof.subjects import reference_adapter
from tunproof.subjects.reference import Reference, ReferenceQueue


def push_on_every_segment(packets):
    """Set PSH on all packets of a superpacket if the last one has it."""
    if len(packets) < 2 or packets[-1][0] >> 4 != 4 or packets[-1][9] != 6:
        return packets
    at = (packets[-1][0] & 15) * 4 + 13
    return [packet[:at] + bytes([packet[at] | packets[-1][at] & 8]) + packet[at + 1 :] for packet in packets]


def larger_segments(emit):
    def wrong(self, **options):
        return emit(self._replace(gso_size=self.gso_size + 8) if self.gso_size else self, **options)

    return wrong


def wrap(owner, name, change):
    method = getattr(owner, name)
    setattr(owner, name, lambda self, *arguments: change(method(self, *arguments)))


def silent(read):
    """Drop what is refused, as many readers do, and say nothing."""

    def dropping(self, *arguments):
        try:
            return read(self, *arguments)
        except Rejected as error:
            return error.came

    return dropping


if sys.argv[1].startswith("silent"):
    adapter = reference_adapter._Adapter
    adapter.read_some, adapter.read = silent(adapter.read_some), silent(adapter.read)
    if sys.argv[1] == "silent-and-says-so":
        reference_adapter._ABOUT["rejectStyle"] = "silent"
elif sys.argv[1] == "read":
    wrap(ReferenceQueue, "read_some", push_on_every_segment)
    wrap(Reference, "read", push_on_every_segment)
elif sys.argv[1] == "write":
    tio.VnetHeader.emit = larger_segments(tio.VnetHeader.emit)
elif sys.argv[1] == "lose":
    tio.coalesce = lambda packets, coalesce=tio.coalesce: coalesce(packets[:1] + packets[2:])

reference_adapter.main()
