#!/usr/bin/env python3
"""An adapter for tunproof. Copy this file, and replace the example at its end with your implementation.

    tunproof check -- python3 adapter.py

It needs Python 3.10 and nothing else. `serve` talks to tunproof, and calls your functions:

    op           function                                   returns
    checksum     checksum(data, initial)                    the sum, an int
    header       parse_header(data, size, byte_order)       a dict of fields
                 emit_header(fields, size, byte_order)      bytes
    read         read(frame)                                packets
    write        write(packet, poison)                      frames
    write_gso    write_gso(hdr, transport_hdr, pays)        frames
    write_batch  write_batch(packets, poison)               frames
    lifecycle    begin(descriptors, backend)                nothing
                 step(step)                                 the answer, a dict

Packets and frames are lists of bytes; a frame includes its vnet header. `poison` is the value of a byte, or None. If
your implementation rejects its input, raise `Rejected`; if it lacks something, `Unsupported`. Any other exception is
reported as an error, with its trace, and never counts as a rejection. Leave out the ops that you do not have.

That is mode `memory`. In the other modes frames go through a file descriptor: `attach(mode, fd, name)` is called once,
before anything else. Then `read_some()` is called in place of `read`, until the runner's last packet comes out: return
copies of the packets from one read, or raise `Rejected` with those that came out anyway. The writes return None.
"""

import functools
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

Object = dict[str, Any]


class Rejected(Exception):
    """An ordinary error of your implementation. `came` has the packets (of a read) or frames that came out anyway."""

    def __init__(self, detail: str, came: Iterable[bytes] = ()) -> None:
        super().__init__(detail)
        self.came = list(came)


class Unsupported(Exception):
    """Your implementation lacks this."""


def serve(about: Object, functions: Object, *, attach: Any = None, read_some: Any = None) -> None:
    """Talk to tunproof until it says bye. `about` is the reply to `hello`, without `protocol` and `ops`.

    `functions` has one function for each op, and a pair for `header` and `lifecycle`.
    """
    output = os.dup(1)
    os.dup2(2, 1)  # anything that is printed goes to the log, not into the conversation
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    functions = dict(functions)
    if read_some:
        functions.setdefault("read", None)
    reply = about = {"protocol": 2, "ops": list(functions), **about}
    with open(0, "rb", buffering=1 << 16, closefd=False) as lines:
        for line in lines:
            said = json.loads(line)
            if said["cmd"] == "run":
                reply = _run(functions, said)
            elif said["cmd"] == "batch":
                reply = {"results": [_run(functions, run) for run in said["runs"]]}
            elif said["cmd"] == "hello":
                if said["attach"] is not None:
                    _attach(said["attach"], functions, attach, read_some)
                if "lifecycle" in functions:
                    begin, functions["step"] = functions["lifecycle"]
                    functions["lifecycle"] = functools.partial(begin, said["descriptors"])
                reply = about
            else:  # bye
                break
            data = _encode(reply).encode() + b"\n"
            while data:
                data = data[os.write(output, data) :]


def _attach(to: Object, functions: Object, attach: Any, read_some: Any) -> None:
    """Attach to the TUN, or to the socket in its place, and let reads continue until the sentinel comes out."""
    attach(to["mode"], to["fd"], to["name"])
    if read_some:
        functions["read"] = functools.partial(_read_until, bytes.fromhex(to["sentinel"]), read_some)


def _read_until(sentinel: bytes, read_some: Any, _: bytes) -> list[bytes]:
    packets: list[bytes] = []
    refusal = None
    while sentinel not in packets:
        try:
            packets += read_some()
        except Rejected as error:
            packets += error.came
            refusal = refusal or error
    packets.remove(sentinel)
    if refusal is not None:
        raise Rejected(str(refusal), packets)
    return packets


def _run(functions: Object, run: Object) -> Object:
    """Return the reply to one run."""
    number, op = run["id"], run["op"]
    if op not in functions:
        return {"id": number, "status": "unsupported", "what": f"op {op}"}
    try:
        return {"id": number, "status": "ok", **_OPS[op](functions[op], run["input"])}
    except Rejected as error:
        came = "packets" if op == "read" else "frames"
        return {"id": number, "status": "rejected", "detail": str(error), came: _hex(error.came)}
    except Unsupported as error:
        return {"id": number, "status": "unsupported", "what": str(error)}
    except Exception as error:  # noqa: BLE001 (a result like any other)
        detail = f"{type(error).__name__}: {error}"
        return {"id": number, "status": "error", "detail": detail, "trace": traceback.format_exc()}


def _header(functions: Any, given: Object) -> Object:
    parse, emit = functions
    if given["direction"] == "parse":
        return {"fields": parse(_bytes(given["bytes"]), given["size"], given["byte_order"])}
    return {"bytes": emit(given["fields"], given["size"], given["byte_order"]).hex()}


def _gso(do: Any, given: Object) -> Object:
    return _written(do(_bytes(given["hdr"]), _bytes(given["transport_hdr"]), [_bytes(pay) for pay in given["pays"]]))


def _poison(given: Object) -> int | None:
    return None if given["poison"] is None else int(given["poison"], 16)


def _written(frames: Iterable[bytes] | None) -> Object:
    return {} if frames is None else {"frames": _hex(frames)}


def _hex(many: Iterable[bytes]) -> list[str]:
    return [one.hex() for one in many]


_bytes = bytes.fromhex
_encode = json.JSONEncoder(separators=(",", ":")).encode
_OPS: dict[str, Callable[[Any, Object], Object]] = {
    "checksum": lambda do, given: {"sum": do(_bytes(given["data"]), given["initial"])},
    "header": _header,
    "read": lambda do, given: {"packets": _hex(do(_bytes(given["frame"] or "")))},
    "write": lambda do, given: _written(do(_bytes(given["packet"]), _poison(given))),
    "write_gso": _gso,
    "write_batch": lambda do, given: _written(do([_bytes(packet) for packet in given["packets"]], _poison(given))),
    "lifecycle": lambda do, given: do(given["backend"]) or {},
    "step": lambda do, given: {"answer": do(given["step"])},
}


# The example: it sums bytes, and parses and builds vnet headers. Replace it with your own code.
FIELDS = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers", "rest")
COUNTS = {10: 6, 12: 7, 24: 8}  # header size: number of fields
LAYOUTS = {"little": struct.Struct("<BBHHHHH12s"), "big": struct.Struct(">BBHHHHH12s")}


def checksum(data: bytes, initial: int) -> int:
    """Return the one's-complement sum of big-endian words (RFC 1071), folded, not inverted."""
    total = initial + int.from_bytes(data + bytes(len(data) % 2), "big")
    return total and (total % 0xFFFF or 0xFFFF)  # 0x10000 is 1 modulo 0xFFFF; the sum is 0 only if all is 0


def parse_header(data: bytes, size: int, byte_order: str) -> Object:
    """Return the fields of the vnet header of `size` bytes at the start of `data`."""
    if size not in COUNTS or len(data) < size:
        raise Rejected(f"no header of {size} bytes in {len(data)}")
    values = LAYOUTS[byte_order].unpack(data[:size].ljust(24, b"\0"))
    fields = dict(zip(FIELDS[: COUNTS[size]], values, strict=False))
    return fields if size < 24 else {**fields, "rest": fields["rest"].hex()}


def emit_header(fields: Object, size: int, byte_order: str) -> bytes:
    """Return a vnet header of `size` bytes. Fields that are left out are zero."""
    rest = _bytes(fields.get("rest") or "00" * 12)
    if size not in COUNTS or len(rest) != 12:
        raise Rejected(f"a header of {size} bytes, {len(rest)} of them after num_buffers")
    try:
        return LAYOUTS[byte_order].pack(*(fields.get(name) or 0 for name in FIELDS[:7]), rest)[:size]
    except struct.error as error:
        raise Rejected(str(error)) from error


if __name__ == "__main__":
    about = {
        "implementation": {"name": "example", "version": "1", "language": "Python"},
        "capabilities": [f"header.{what}" for what in ("parse", "emit", "12", "24", "big-endian", "any-integer")],
        "modes": ["memory"],
        "claims": {  # what your code was written for: cases outside of it are not run
            "offloads": ["CSUM", "TSO4", "TSO6", "USO4", "USO6"],  # what it asks TUNSETOFFLOAD for; TSO_ECN as well?
            "trust": "kernel",  # it reads what its own kernel hands over; "anyone": frames of a guest, or of any sender
            "validates": False,  # write_gso checks lengths and checksums, which otherwise are its caller's duty
            "limits": {},  # what it documents: {"segments": 128} a read, {"packets": 128} a batch, "fragments", "bytes"
            "headerSizes": [10, 12, 24],  # bytes of vnet header that its functions take
            "rejectsEmpty": False,  # an empty packet is an error
        },
    }
    serve(about, {"checksum": checksum, "header": (parse_header, emit_header)})
