"""How the page is reached: what is listened on, with which certificate, at which addresses.

    way = plan_way("lan", None)

Torch-free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from capture_app.connect.addresses import lan_addresses
from capture_app.connect.authority import Authority, Leaf, data_folder, open_authority, open_leaf
from capture_app.connect.own_certificate import OwnCertificate, read_own_certificate
from capture_app.connect.routes import PhoneAccess
from training.errors import UserError

LAN = "lan"
THIS_MACHINE = "127.0.0.1"
ANY_ADDRESS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Way:
    """What to listen on, and the certificate if it is with TLS."""

    hosts: tuple[str, ...]
    """Addresses to listen on, all at one port."""
    names: tuple[str, ...]
    """Hosts to write in the page's addresses, the best first."""
    authority: Authority | None = None
    leaf: Leaf | None = None
    own: OwnCertificate | None = None

    @property
    def pair(self) -> tuple[Path, Path] | None:
        """The PEM files of certificate and private key; None without TLS."""
        if self.own is not None:
            return self.own.certificate, self.own.private_key
        return None if self.leaf is None else (self.leaf.path, self.leaf.path)

    def phone_access(self, port: int) -> PhoneAccess:
        """How phones come in at this port; without TLS they have no camera, and are not asked in."""
        if self.pair is None:
            return PhoneAccess()
        first, *others = (
            f"https://{_bracketed(name)}" + (f":{port}" if port != 443 else "") for name in self.names
        )
        return PhoneAccess(first, tuple(others), self.authority.certificate if self.authority else None)


def own_pair(certificate: Path | None, private_key: Path | None) -> OwnCertificate | None:
    """The user's own certificate, None if none is given.

    Raises:
        UserError: only one of the two is given, or they cannot be used.
    """
    if certificate is None and private_key is None:
        return None
    if certificate is None or private_key is None:
        given, missing = (
            ("--certificate", "--private-key") if private_key is None else ("--private-key", "--certificate")
        )
        raise UserError(f"{given} is given without {missing}; give both, or neither.")
    return read_own_certificate(certificate, private_key)


def plan_way(host: str, own: OwnCertificate | None, *, folder: Path | None = None) -> Way:
    """From the command line's options to what they mean.

    Args:
        host: an address, or `lan` for all of this machine's in private networks, over TLS.
        own: the user's certificate; without it `lan` makes and keeps a local authority.
        folder: where the authority is kept; the user's data folder if not given.

    Raises:
        UserError: `lan` without a network, or an authority that cannot be used.
    """
    if host != LAN:
        return Way((host,), _names(own, [host]) if own else (host,), own=own)
    addresses = lan_addresses()
    hosts = (THIS_MACHINE, *map(str, addresses))
    if own is not None:
        return Way(hosts, _names(own, [str(address) for address in addresses]), own=own)
    return _with_authority(hosts, addresses, folder or data_folder())


def _with_authority(hosts: tuple[str, ...], addresses: Sequence[IPv4Address], folder: Path) -> Way:
    authority = open_authority(folder)
    leaf = open_leaf(folder, authority, addresses)
    return Way(hosts, tuple(map(str, addresses)), authority, leaf)


def _names(own: OwnCertificate, hosts: Sequence[str]) -> tuple[str, ...]:
    """What a certificate is for that people can type: its host names, then those of `hosts` that it holds.

    A certificate of stars only leaves the addresses, which it does not fit; the person knows the name.
    """
    typed = [name for name in own.names if "*" not in name and name != "localhost"]
    fitting = [name for name in typed if not _is_address(name)] + [host for host in hosts if host in typed]
    return tuple(fitting or typed or [host for host in hosts if host not in ANY_ADDRESS] or ["localhost"])


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
