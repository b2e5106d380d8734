"""The lab: real TUN devices in disposable network namespaces, and what the kernel does between them.

privilege   whether this process may make namespaces and TUNs, and if not, why not
namespace   an anonymous network namespace held by an fd
device      opening, counting and describing one TUN
links       links, addresses, routes and traffic control over netlink
ground      a namespace and all that must be closed with it
wiring      the four labs: redirect, readback, forward, socket
exchange    one frame in, its outcome out
running     the running kernel as a device: any frame on any path

>>> from tunproof import lab
>>> lab.ensure()
>>> with lab.redirect() as pair:
...     outcome = lab.Exchange(pair).send(frame, 3)
"""

from tunproof.lab.device import Counters
from tunproof.lab.exchange import Exchange
from tunproof.lab.namespace import Namespace
from tunproof.lab.privilege import ensure
from tunproof.lab.program import ProgramLab
from tunproof.lab.running import Device, KernelDevice, RunningKernel
from tunproof.lab.wiring import FAR, NEAR, Addresses, Pair, SocketLab, forward, readback, redirect, socket

__all__ = [
    "FAR",
    "NEAR",
    "Addresses",
    "Counters",
    "Device",
    "Exchange",
    "KernelDevice",
    "Namespace",
    "Pair",
    "ProgramLab",
    "RunningKernel",
    "SocketLab",
    "ensure",
    "forward",
    "readback",
    "redirect",
    "socket",
]
