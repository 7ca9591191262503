"""A certificate that the user brings: tried before the page is served with it.

    own = read_own_certificate(Path("fullchain.pem"), Path("privkey.pem"))

Torch-free.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from capture_app.connect.certificates import common_name
from training.errors import UserError


@dataclass(frozen=True)
class OwnCertificate:
    """A server's certificate with its key, in PEM files that belong together."""

    certificate: Path
    private_key: Path
    names: tuple[str, ...]
    """The hosts and addresses that it is for; a star stands for one label."""
    expires: datetime


def read_own_certificate(
    certificate: Path, private_key: Path, *, now: datetime | None = None
) -> OwnCertificate:
    """The user's certificate, after everything that would stop a browser is looked for.

    Args:
        certificate: PEM; the server's certificate first, then those that lead to its authority.
        private_key: PEM, without a password.
        now: the time, with its zone.

    Raises:
        UserError: a file is missing or not PEM, the key has a password or is another certificate's, or the
            certificate is out of its time or names no host.
    """
    now = now or datetime.now(UTC)
    chain = _read_chain(certificate)
    leaf = chain[0]
    if _read_key(private_key).public_key() != leaf.public_key():
        raise UserError(
            f"{private_key} is not the key of the first certificate in {certificate}; give the pair that was "
            "issued together, the server's own certificate before those of its authority."
        )
    if leaf.not_valid_after_utc < now:
        raise UserError(
            f"{certificate} ended on {leaf.not_valid_after_utc:%Y-%m-%d}; have it renewed, or leave --certificate "
            "and --private-key out and use --host lan."
        )
    if leaf.not_valid_before_utc > now:
        raise UserError(
            f"{certificate} begins on {leaf.not_valid_before_utc:%Y-%m-%d}; wait until then, or set this "
            "machine's clock right."
        )
    names = _names(leaf)
    if not names:
        raise UserError(
            f"{certificate} (subject '{common_name(leaf)}') names no host in its subjectAltName, so that no "
            "browser would take it; have one issued that does."
        )
    return OwnCertificate(certificate, private_key, names, leaf.not_valid_after_utc)


def _read_chain(path: Path) -> list[x509.Certificate]:
    data = _read(path, "--certificate")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise UserError(
            f"{path} is not a certificate in PEM (text that begins with -----BEGIN CERTIFICATE-----); give the "
            "file that a certificate authority issued, often called fullchain.pem."
        ) from None


def _read_key(path: Path) -> PrivateKeyTypes:
    data = _read(path, "--private-key")
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise UserError(
            f"{path} is locked with a password, which nobody could type when the page starts by itself; give the "
            "key without one, in a file that only you can read."
        ) from None
    except ValueError:
        raise UserError(
            f"{path} is not a private key in PEM (text that begins with -----BEGIN PRIVATE KEY-----); give the "
            "file that belongs to the certificate, often called privkey.pem."
        ) from None


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{option} {path} is not there; give the path of a PEM file.") from None
    except IsADirectoryError:
        raise UserError(f"{option} {path} is a folder; give the path of a PEM file in it.") from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))
