"""What a peer is: its `peer.toml`, read strictly, and the manifest that its ecosystem's client reads."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

__all__ = ["MANIFESTS", "PEERS", "Peer", "load", "load_all"]

PEERS = Path(__file__).parents[2] / "harness" / "peers"
MANIFESTS = {"go": "go.mod", "cargo": "Cargo.toml", "pip": "requirements.txt"}
"""The file in which each ecosystem's client finds the versions."""
_OPTIONAL = {"pins", "makes_tun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An implementation that others wrote, and how to reach it.

    Attributes:
        folder: where its adapter is; the folder's name is the peer's.
        package: its name in the registry of `ecosystem`.
        version: what the manifest pins, without `=`.
        ecosystem: a key of `MANIFESTS`.
        toolchain: the oldest Go, Rust or Python that builds it.
        ops, modes: what its adapter says in `hello`.
        source, issues: links.
        pins: versions of other packages that decide what the peer does.
        makes_tun: whether its adapter makes a TUN of its own in every mode, in a namespace of its own.
    """

    folder: Path
    package: str
    version: str
    ecosystem: str
    toolchain: str
    ops: tuple[str, ...]
    modes: tuple[str, ...]
    source: str
    issues: str
    pins: dict[str, str] = field(default_factory=dict)
    makes_tun: bool = False

    @property
    def name(self) -> str:
        """The name of the peer, which is that of its folder."""
        return self.folder.name

    @property
    def manifest(self) -> Path:
        """The file that pins the versions."""
        return self.folder / MANIFESTS[self.ecosystem]


def load(folder: Path) -> Peer:
    """Return the peer in a folder. Raises `ValueError` if its `peer.toml` has an unknown key, or lacks one."""
    path = folder / "peer.toml"
    told = tomllib.loads(path.read_text("utf-8"))
    wanted = {one.name for one in fields(Peer)} - _OPTIONAL - {"folder"}
    if odd := (told.keys() - _OPTIONAL) ^ wanted:
        raise ValueError(f"{path}: unknown or missing: {', '.join(sorted(odd))}")
    if told["ecosystem"] not in MANIFESTS:
        raise ValueError(f"{path}: ecosystem {told['ecosystem']!r} is none of {', '.join(MANIFESTS)}")
    return Peer(folder=folder, **told | {name: tuple(told[name]) for name in ("ops", "modes")})


def load_all(peers: Path = PEERS) -> list[Peer]:
    """Return all peers, by name."""
    return [load(path.parent) for path in sorted(peers.glob("*/peer.toml"))]
