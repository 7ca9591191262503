"""This machine's addresses in private networks, the one that a phone most likely reaches first.

    python -c "from capture_app.connect.addresses import lan_addresses; print(lan_addresses())"

IPv4 only. Interfaces are listed by getifaddrs(3); where the C library has none (Windows), by the host's own name.
Nothing is sent. Torch-free.
"""

import ctypes
import os
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from training.errors import UserError

LAN_NETWORKS = (
    IPv4Network("10.0.0.0/8"),  # RFC 1918
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),  # RFC 6598: shared address space, private overlays
    IPv4Network("192.0.2.0/24"),  # RFC 5737: documentation, virtual machines; on no public network
)
"""Where phones are let in; the local authority can vouch for addresses in these and nowhere else."""
OWN_NETWORKS = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""This machine's own loopback addresses."""
VIRTUAL = ("docker", "br-", "veth", "virbr", "vmnet", "vboxnet")
"""Starts of the names of interfaces behind which are virtual machines and containers, no phones."""


def lan_addresses() -> list[IPv4Address]:
    """The addresses to serve phones on, at least one, the default route's first.

    Raises:
        UserError: there is no network, or only a public one.
    """
    return choose_addresses(interface_addresses(), default_address())


def choose_addresses(found: list[tuple[str, IPv4Address]], default: IPv4Address | None) -> list[IPv4Address]:
    """Of all interfaces' (name, address), the private ones without repeats, `default` first if it is one.

    Raises:
        UserError: none is left.
    """
    outside = [
        address
        for name, address in found
        if not name.startswith(VIRTUAL)
        and not (address.is_loopback or address.is_link_local or address.is_unspecified)
    ]
    if default is not None and default not in outside and not default.is_loopback:
        outside.append(default)
    private = [address for address in outside if any(address in network for network in LAN_NETWORKS)]
    if private:
        return sorted(dict.fromkeys(private), key=lambda address: address != default)
    if outside:
        raise UserError(
            f"this machine's address {outside[0]} is a public one, for which a certificate of its own making is "
            f"not enough; give one with --certificate and --private-key, and listen by --host {outside[0]}."
        )
    raise UserError(
        "this machine is in no network that a phone could share; join the phone's Wi-Fi or its hotspot and start "
        "again, or leave out --host lan to use the page on this machine."
    )


def default_address() -> IPv4Address | None:
    """The address that this machine would send from to elsewhere; a UDP socket chooses it without sending."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))  # RFC 5737: nobody's address.
        except OSError:
            return None
        return IPv4Address(probe.getsockname()[0])


def interface_addresses() -> list[tuple[str, IPv4Address]]:
    """(interface, IPv4 address) of every interface, loopback too."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    if library is None or not hasattr(library, "getifaddrs"):
        return [("", address) for address in _addresses_of_host_name()]
    first = ctypes.POINTER(_InterfaceAddress)()
    if library.getifaddrs(ctypes.byref(first)) != 0:
        return [("", address) for address in _addresses_of_host_name()]
    found = []
    try:
        entry = first
        while entry:
            record = entry.contents
            if record.address and _family(record.address) == socket.AF_INET:
                packed = ctypes.string_at(record.address + 4, 4)  # After family (2 bytes) and port (2).
                found.append((record.name.decode(), IPv4Address(packed)))
            entry = record.next
    finally:
        library.freeifaddrs(first)
    return found


class _InterfaceAddress(ctypes.Structure):
    """The start of `struct ifaddrs`, which Linux, macOS and the BSDs share; only pointers to it are used."""


_InterfaceAddress._fields_ = [
    ("next", ctypes.POINTER(_InterfaceAddress)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def _family(address: int) -> int:
    """sa_family: two bytes on Linux; a length and one byte on macOS and the BSDs."""
    start = ctypes.string_at(address, 2)
    return int.from_bytes(start, "little") if start[1] == 0 else start[1]


def _addresses_of_host_name() -> list[IPv4Address]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return [IPv4Address(str(entry[4][0])) for entry in found]
