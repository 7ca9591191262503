"""This machine's own certificate authority, kept in the user's data folder, and the page's certificate below it.

    authority = open_authority(data_folder())
    leaf = open_leaf(data_folder(), authority, lan_addresses())

Each file holds a key and its certificate together, so that they can never be of two makings; it is written whole,
and only its owner can read it. The certificates are made in `certificates.py`. Torch-free.
"""

import os
import re
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from capture_app.connect import certificates
from capture_app.connect.addresses import LAN_NETWORKS
from training.errors import UserError

AUTHORITY_FILE = "authority.pem"
LEAF_FILE = "page.pem"
RENEW = timedelta(days=30)
"""What ends sooner than this is made again."""
LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
HOST_NAME = re.compile(rf"{LABEL}(\.{LABEL})*")


@dataclass(frozen=True)
class Authority:
    """The authority: what phones trust, and the key that never leaves this machine."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path
    made: bool
    """Whether it was made just now, so that no phone trusts it yet."""


@dataclass(frozen=True)
class Leaf:
    """The page's certificate."""

    path: Path
    """One PEM file, key and certificate."""
    expires: datetime
    made: bool


def data_folder() -> Path:
    """Where the authority is kept: $XDG_DATA_HOME/dermcapture, ~/.local/share/dermcapture without."""
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "dermcapture"


def machine_names() -> list[str]:
    """This machine's names that a certificate can hold: its own, and that of multicast DNS (NAME.local)."""
    name = socket.gethostname().lower().rstrip(".")
    names = (name, name.split(".")[0] + ".local")
    return [n for n in dict.fromkeys(names) if HOST_NAME.fullmatch(n) and not n.startswith("localhost")]


def open_authority(
    folder: Path, *, names: Sequence[str] | None = None, now: datetime | None = None
) -> Authority:
    """The authority kept in `folder`; made where there is none yet, or where it is near its end.

    Args:
        folder: made, for its owner only, where it is not there.
        names: the host names that it will be able to vouch for; this machine's if not given.
        now: the time, with its zone.

    Raises:
        UserError: its file is damaged, or others can read its key.
    """
    now = now or datetime.now(UTC)
    path = folder / AUTHORITY_FILE
    kept = _read_authority(path)
    if kept is not None and kept.certificate.not_valid_after_utc - now > RENEW:
        return kept
    key = certificates.new_key()
    certificate = certificates.authority_certificate(key, machine_names() if names is None else names, now)
    if not _write_private(path, certificates.pem(key, certificate), replace=kept is not None):
        # Another start made one in the same moment: phones must see one authority, so that is it.
        return open_authority(folder, names=names, now=now)
    return Authority(certificate, key, path, made=True)


def open_leaf(
    folder: Path,
    authority: Authority,
    addresses: Sequence[IPv4Address],
    *,
    names: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Leaf:
    """The page's certificate for these addresses, this machine's names and loopback.

    The one in `folder` is kept while it is the authority's, holds exactly these, and has more than 30 days left.
    Names that the authority was not made for are left out: phones would refuse the whole certificate.

    Raises:
        UserError: an address is not in a private network.
    """
    now = now or datetime.now(UTC)
    for address in addresses:
        if not any(address in network for network in LAN_NETWORKS):
            raise UserError(
                f"the local authority cannot vouch for {address}, only for addresses in private networks; give a "
                "certificate for it with --certificate and --private-key."
            )
    vouched = certificates.vouched_names(authority.certificate)
    hosts = [name for name in (machine_names() if names is None else names) if name in vouched]
    general: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *hosts)]
    general += [x509.IPAddress(address) for address in LOOPBACK]
    general += [x509.IPAddress(address) for address in sorted(set(addresses))]
    wanted = x509.SubjectAlternativeName(general)
    path = folder / LEAF_FILE
    kept = _read_leaf(path)
    if kept is not None and _still_good(kept, authority.certificate, wanted, now):
        return Leaf(path, kept.not_valid_after_utc, made=False)
    key = certificates.new_key()
    certificate = certificates.leaf_certificate(key, authority.certificate, authority.key, wanted, now)
    _write_private(path, certificates.pem(key, certificate), replace=True)
    return Leaf(path, certificate.not_valid_after_utc, made=True)


def _still_good(
    leaf: x509.Certificate,
    authority: x509.Certificate,
    wanted: x509.SubjectAlternativeName,
    now: datetime,
) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return names == wanted and leaf.not_valid_before_utc <= now and leaf.not_valid_after_utc - now > RENEW


def _read_authority(path: Path) -> Authority | None:
    """The authority in a file, None where there is no file.

    Raises:
        UserError: the file is damaged, or others can read it.
    """
    if not path.exists():
        return None
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        raise UserError(
            f"{path} holds the authority's key and others may read it (mode {mode:o}); run 'chmod 600 {path}' if "
            "nobody copied it, or remove it to have another made, which each phone must then trust anew."
        )
    read = _read_pair(path)
    if read is None or not isinstance(read[0], ec.EllipticCurvePrivateKey) or not _is_ours(read[1]):
        raise UserError(
            f"{path} is damaged; put it back from a copy, or remove it to have another authority made, which each "
            "phone must then trust anew."
        )
    return Authority(read[1], read[0], path, made=False)


def _is_ours(certificate: x509.Certificate) -> bool:
    try:
        certificates.vouched_names(certificate)
    except (ValueError, x509.ExtensionNotFound):
        return False
    return True


def _read_leaf(path: Path) -> x509.Certificate | None:
    """The page's certificate in a file; None where it cannot be used, since it is made again at no cost."""
    read = _read_pair(path) if path.exists() else None
    return read[1] if read else None


def _read_pair(path: Path) -> tuple[object, x509.Certificate] | None:
    """A key and the certificate that belongs to it; None where the file does not hold that."""
    data = path.read_bytes()
    try:
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError):
        return None
    return (key, certificate) if key.public_key() == certificate.public_key() else None


def _write_private(path: Path, data: bytes, *, replace: bool) -> bool:
    """Write a file for its owner alone, whole or not at all; False where it is there and may not be replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # Of mode 0600.
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)
    except FileExistsError:
        return False
    finally:
        Path(name).unlink(missing_ok=True)
    return True
