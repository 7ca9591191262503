"""The certificates themselves: an authority that can vouch for little, a page's below it, and what phones install.

    certificate = authority_certificate(new_key(), ["clinic-laptop", "clinic-laptop.local"], datetime.now(UTC))

The authority vouches for private addresses and the named hosts only (name constraints, RFC 5280, Sec. 4.2.1.10).
The page's certificate keeps Apple's rules for TLS servers (support.apple.com/103769): names in the SAN,
serverAuth, ECDSA with SHA-256, at most 825 days. Pure but for the keys. Torch-free.
"""

import plistlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capture_app.connect.addresses import LAN_NETWORKS, OWN_NETWORKS

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397
CLOCK_SKEW = timedelta(days=1)
"""How far a phone's clock may be behind."""
MAX_COMMON_NAME = 64  # RFC 5280, ub-common-name.


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def authority_certificate(
    key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: datetime
) -> x509.Certificate:
    """A certificate that signs itself and may sign others, for these host names and private addresses only."""
    host = names[0] if names else "this computer"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dermcapture on {host}"[:MAX_COMMON_NAME])])
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *names)]
    permitted += [x509.IPAddress(network) for network in (*OWN_NETWORKS, *LAN_NETWORKS)]
    return (
        _builder(key, subject, subject, now, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )


def leaf_certificate(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: x509.SubjectAlternativeName,
    now: datetime,
) -> x509.Certificate:
    """A TLS server's certificate that the authority signs; it never outlives the authority."""
    end = min(now - CLOCK_SKEW + timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dermcapture page")])
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    return (
        _builder(key, subject, authority.subject, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def vouched_names(authority: x509.Certificate) -> set[str]:
    """The host names that an authority may sign for.

    Raises:
        x509.ExtensionNotFound: it is not one of ours.
    """
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    return {name.value for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName)}


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name; empty where it has none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as phones show it: pairs of hexadecimal digits with spaces between."""
    return certificate.fingerprint(hashes.SHA256()).hex(" ").upper()


def pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    """Key and certificate in one PEM text, as Python's ssl reads it."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def ios_profile(certificate: x509.Certificate) -> bytes:
    """An authority's certificate as a configuration profile (.mobileconfig), unsigned.

    The identifiers come from the certificate: installed twice, it is one profile (Apple, Configuration Profile
    Reference: com.apple.security.root).
    """
    known = certificate.fingerprint(hashes.SHA256()).hex()
    name = common_name(certificate)

    def described(identifier: str, kind: str) -> dict[str, object]:
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_OID, identifier + known)).upper(),
            "PayloadDisplayName": name,
        }

    root = {
        **described(f"dermcapture.{known[:16]}.root", "com.apple.security.root"),
        "PayloadCertificateFileName": "dermcapture.cer",
        "PayloadContent": certificate.public_bytes(serialization.Encoding.DER),
    }
    return plistlib.dumps(
        {
            **described(f"dermcapture.{known[:16]}", "Configuration"),
            "PayloadDescription": "Lets this device open the capture page of that computer over HTTPS.",
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [root],
        }
    )


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
