"""Where the operator may connect to on a tenant's behalf: a mail server or webhook that a plan or Secret names.

Whoever writes those is not trusted (DESIGN rule 11): the operator must not be made to ask the machine's metadata
service for its credentials. Addresses are checked as they are connected to, after the name was looked up, so that a
name cannot resolve to one address for the check and to another for the connection. What is left, because receivers
inside the cluster and the private network are wanted: the API server, other tenants' Services and internal hosts.
Those belong into a NetworkPolicy for the operator's namespace (docs/notifications.md).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

_REFUSED: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "::/128",
        "169.254.0.0/16",  # link-local: metadata of AWS, Azure, Google Cloud, OpenStack, Oracle, DigitalOcean
        "fe80::/10",
        "fd00:ec2::/32",  # AWS metadata and pod identity
        "fd20:ce::254/128",  # Google Cloud metadata
        "168.63.129.16/32",  # Azure's host
        "100.100.100.200/32",  # Alibaba Cloud metadata
        "192.0.0.192/32",  # Oracle Cloud, classic
        "224.0.0.0/4",  # multicast
        "ff00::/8",
        "255.255.255.255/32",
    )
)
_NAT64: Final = ip_network("64:ff9b::/96")
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As getaddrinfo gives it."""


class RefusedDestinationError(PermissionError):
    """The address is none that the operator connects to on a tenant's behalf."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"{address} is no address that notifications may be sent to")


@dataclass(frozen=True, slots=True)
class Destinations:
    """What may be connected to.

    Attributes:
        allow_loopback: also this machine's own addresses; for tests and the demo. In a cluster they lead to the
            operator itself and its sidecars.
    """

    allow_loopback: bool = False

    def check(self, address: str) -> None:
        """Whether an IP address may be connected to.

        Raises:
            RefusedDestinationError: it may not.
        """
        found = _unwrapped(ip_address(address.partition("%")[0]))
        if any(found in network for network in _REFUSED if network.version == found.version):
            raise RefusedDestinationError(address)
        if found.is_loopback and not self.allow_loopback:
            raise RefusedDestinationError(address)

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """A socket for an address that may be connected to; aiohttp's `socket_factory`."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first of the host's addresses that takes one.

        Raises:
            OSError: there is no such host, none of its addresses answers, or none of them may be connected to.
        """
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                connection = self.open_socket(info)
            except OSError as error:
                failure = failure or error
                continue
            try:
                connection.setblocking(False)
                await loop.sock_connect(connection, info[4])
            except OSError as error:
                connection.close()
                failure = failure or error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure or OSError(f"{host} has no address")


def is_loopback(host: str) -> bool:
    """Whether the host, as it is written, is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return _unwrapped(ip_address(host.strip("[]"))).is_loopback
    except ValueError:
        return False


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address within an IPv6 one, where that leads to it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
