"""The README's example runs, and does what it says."""

import re
import socket
import struct
import threading
from pathlib import Path

import pytest

import tio
from tunproof.lab import Namespace, links

pytestmark = pytest.mark.lab

README = (Path(__file__).parents[2] / "README.md").read_text()
SOL_UDP, UDP_SEGMENT = 17, 103


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    return code


def test_the_mirror_mirrors_superpackets(monkeypatch: pytest.MonkeyPatch) -> None:
    containers: list[tio.OffloadContainer] = []

    class Remembered(tio.OffloadContainer):
        def add(self, fd: int) -> None:
            super().add(fd)
            containers.append(self)
            ready.set()

    ready = threading.Event()
    monkeypatch.setattr(tio, "OffloadContainer", Remembered)
    ended: list[BaseException] = []

    def run() -> None:
        try:
            exec(compile(example(), "README.md", "exec"), {"__name__": "example"})  # noqa: S102 (our own README)
        except tio.Closed as error:
            ended.append(error)

    with Namespace() as namespace:
        # `Namespace.run` runs its function in a thread of the namespace; the example stays there until it is closed.
        mirror = threading.Thread(target=namespace.run, args=(run,))
        mirror.start()
        assert ready.wait(10)
        namespace.run(set_up)
        with namespace.run(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(10)
            sender.bind(("10.9.0.1", 4000))
            sender.setsockopt(SOL_UDP, UDP_SEGMENT, struct.pack("i", 1000))
            data = bytes(index % 251 for index in range(3500))
            sender.sendto(data, ("10.9.0.2", 4000))
            back = [sender.recv(2000) for _ in range(4)]
        for container in containers:
            container.close()
        mirror.join(10)
    assert [len(datagram) for datagram in back] == [1000, 1000, 1000, 500]
    assert b"".join(back) == data
    assert [type(error) for error in ended] == [tio.Closed]


def set_up() -> None:
    with links.netlink() as ip:
        links.bring_up(ip, "mirror")
        links.add_address(ip, "mirror", "10.9.0.1/24")


def test_the_example_is_short() -> None:
    lines = [line for line in example().splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert len(lines) <= 20


def test_the_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
