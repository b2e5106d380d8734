"""The inputs that targets begin with, and their dictionaries, made from the corpus: `corpora/seeds/TARGET/`.

    python -m tunfuzz.targets.seeds --write

rewrites them. They follow from the golden corpus alone; a test checks that they are up to date.
"""

import hashlib
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tio.virtio import HEADER_SIZE, HEADER_SIZES, ByteOrder, VnetHeader
from tunfuzz.targets import TARGETS, dictionaries
from tunfuzz.targets.coalesce import RIGHT
from tunfuzz.targets.replies import HELLO
from tunproof.corpus.cases import (
    Case,
    ChecksumCase,
    CorpusFile,
    HeaderCase,
    MustReject,
    Packets,
    ParseInput,
    ReadCase,
    Sum,
    WriteBatchCase,
)
from tunproof.corpus.codec import encode
from tunproof.corpus.load import CORPORA, files_below, load_file
from tunproof.corpus.model import FORMAT
from tunproof.protocol import messages as protocol

__all__ = ["FOLDER", "made", "main"]

FOLDER: Final = CORPORA / "seeds"
_MOST, _LONGEST = 40, 1500  # seeds of a target; bytes of one
_SIZES = {size: choice for choice, size in enumerate(HEADER_SIZES)}

_Source = Callable[[list[CorpusFile]], Iterator[bytes]]


def made() -> dict[str, bytes]:
    """Return every file by its path below `FOLDER`."""
    files = [load_file(path) for path in files_below(CORPORA)]
    found = {}
    for name in TARGETS:
        for seed in _spread(_SOURCES[name](files), min(_LONGEST, TARGETS[name].max_length)):
            found[f"{name}/{hashlib.sha256(seed).hexdigest()[:12]}"] = seed
        found[f"{name}/{name}.dict"] = dictionaries.text_of(name)
    return found


def main(arguments: list[str]) -> int:
    """Write the files, and remove those that no longer follow from the corpus."""
    if arguments != ["--write"]:
        print("usage: python -m tunfuzz.targets.seeds --write", file=sys.stderr)
        return 2
    wanted = {FOLDER / name: content for name, content in made().items()}
    for path in set(_present()) - set(wanted):
        path.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{len(wanted)} files, {sum(map(len, wanted.values()))} bytes")
    return 0


def _present() -> list[Path]:
    return [path for path in FOLDER.rglob("*") if path.is_file()]


def _spread(inputs: Iterable[bytes], longest: int) -> list[bytes]:
    """Return at most `_MOST` of the inputs that are short enough, evenly spread."""
    short = [data for data in dict.fromkeys(inputs) if len(data) <= longest]
    step = max(len(short) / _MOST, 1)
    return [short[int(index * step)] for index in range(min(len(short), _MOST))]


def _cases(files: list[CorpusFile]) -> list[Case]:
    return [case for file in files for case in file.cases]


def _frames(files: list[CorpusFile]) -> list[bytes]:
    return [case.input.frame for case in _cases(files) if isinstance(case, ReadCase)]


def _header(files: list[CorpusFile]) -> Iterator[bytes]:
    for case in _cases(files):
        if isinstance(case, HeaderCase) and isinstance(case.input, ParseInput):
            order = 4 if case.input.byte_order == "big" else 0
            data = case.input.bytes
            for what in (0, 0x40):
                yield bytes((_SIZES.get(case.input.size, 3) | order | what,)) + data
            yield bytes((0x82 | order,)) + data.ljust(24, b"\0")[:24] + struct.pack(">Bi", len(data), 0xFFFF)


def _checksum(files: list[CorpusFile]) -> Iterator[bytes]:
    for case in _cases(files):
        if isinstance(case, ChecksumCase):
            initial, total = case.input.initial, case.expect.sum
            for choice in range(3):
                yield struct.pack(">BHHH", choice, initial, total, 0xFFFF - total) + case.input.data
            yield struct.pack(">BHHH", 3, total, initial, 0x1234)


def _complete_checksum(files: list[CorpusFile]) -> Iterator[bytes]:
    for frame in _frames(files):
        if len(frame) > HEADER_SIZE:
            header = VnetHeader.parse(frame, byte_order=ByteOrder.LITTLE)
            if header.needs_csum:
                yield struct.pack(">HH", header.csum_start, header.csum_offset) + frame[HEADER_SIZE:]


def _segment(files: list[CorpusFile]) -> Iterator[bytes]:
    yield from _frames(files)


def _coalesce(files: list[CorpusFile]) -> Iterator[bytes]:
    for number, case in enumerate(_cases(files)):
        if isinstance(case, WriteBatchCase):
            packets = [packet[:0xFFF] for packet in case.input.packets]
            put_right = RIGHT if number % 2 else 0
            yield b"".join(struct.pack(">H", len(packet) | put_right) + packet for packet in packets)


def _predict(files: list[CorpusFile]) -> Iterator[bytes]:
    for number, frame in enumerate(_frames(files)):
        yield bytes((number % 11, number // 11 % 11)) + frame


def _corpus(files: list[CorpusFile]) -> Iterator[bytes]:
    for file in files:
        for case in file.cases:
            flags = {name: file.flags[name] for name in case.flags}
            traits = {name: file.traits[name] for name in sorted(case.traits)}
            alone = CorpusFile(format=FORMAT, topic=file.topic, flags=flags, traits=traits, cases=(case,))
            yield encode(alone)


def _replies(files: list[CorpusFile]) -> Iterator[bytes]:
    ops = list(protocol.OPS)
    yield bytes((0, 0)) + HELLO
    for case in _cases(files):
        op = case.id.partition("/")[0]
        match case.expect:
            case Sum(sum=value):
                answer: protocol.Reply = protocol.OkReply(id=1, sum=value)
            case Packets(packets=packets):
                answer = protocol.OkReply(id=1, packets=packets)
            case MustReject(fault=fault):
                answer = protocol.RejectedReply(id=1, detail=str(fault))
            case _:
                answer = protocol.UnsupportedReply(id=1, what=op)
        second = msgspec.structs.replace(answer, id=2)
        yield bytes((1, ops.index(op))) + encode(answer)
        yield bytes((2, ops.index(op))) + encode(protocol.BatchReply(results=(answer, second)))


_SOURCES: Final[dict[str, _Source]] = {
    "header": _header,
    "checksum": _checksum,
    "complete_checksum": _complete_checksum,
    "segment": _segment,
    "coalesce": _coalesce,
    "predict": _predict,
    "corpus": _corpus,
    "replies": _replies,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
