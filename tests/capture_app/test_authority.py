"""Certificates: what they vouch for and what not, by real TLS handshakes; kept, renewed, readable by one alone."""

import os
import plistlib
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from capture_app.connect import certificates
from capture_app.connect.addresses import choose_addresses, lan_addresses
from capture_app.connect.authority import (
    AUTHORITY_FILE,
    LEAF_FILE,
    Authority,
    data_folder,
    open_authority,
    open_leaf,
)
from capture_app.connect.own_certificate import read_own_certificate
from capture_app.connect.way import own_pair, plan_way
from training.errors import UserError

PHONES = [IPv4Address("192.168.7.20"), IPv4Address("10.0.0.4")]
NAMES = ["clinic", "clinic.local"]
NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "dermcapture"


@pytest.fixture
def authority(folder: Path) -> Authority:
    return open_authority(folder, names=NAMES)


def leaf_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def shake_hands(pem: Path, trusted: x509.Certificate, host: str) -> None:
    """A TLS handshake in memory between a server of `pem` and a client that trusts one authority only.

    Raises:
        ssl.SSLCertVerificationError: the client refuses the server.
    """
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(pem)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.load_verify_locations(
        cadata=trusted.public_bytes(serialization.Encoding.PEM).decode("ascii")
    )
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize(
    "host", ["192.168.7.20", "10.0.0.4", "127.0.0.1", "::1", "localhost", "clinic", "clinic.local"]
)
def test_who_trusts_the_authority_alone_accepts_the_page_at_each_of_its_addresses(folder, authority, host):
    shake_hands(open_leaf(folder, authority, PHONES, names=NAMES).path, authority.certificate, host)


@pytest.mark.parametrize("host", ["192.168.7.21", "other.local", "sub.clinic", "example.org"])
def test_another_host_with_the_pages_certificate_is_refused(folder, authority, host):
    leaf = open_leaf(folder, authority, PHONES, names=NAMES)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        shake_hands(leaf.path, authority.certificate, host)


def test_who_does_not_trust_the_authority_refuses_the_page(folder, authority, tmp_path):
    leaf = open_leaf(folder, authority, PHONES, names=NAMES)
    stranger = open_authority(tmp_path / "other", names=NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(leaf.path, stranger.certificate, "192.168.7.20")


@pytest.mark.parametrize("name", [x509.DNSName("bank.example"), x509.IPAddress(IPv4Address("8.8.8.8"))])
def test_even_with_its_key_the_authority_cannot_vouch_for_the_internet(authority, tmp_path, name):
    key = certificates.new_key()
    leaf = certificates.leaf_certificate(
        key, authority.certificate, authority.key, x509.SubjectAlternativeName([name]), NOW
    )
    forged = tmp_path / "forged.pem"
    forged.write_bytes(certificates.pem(key, leaf))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(forged, authority.certificate, str(name.value))
    with pytest.raises(VerificationError):
        PolicyBuilder().store(Store([authority.certificate])).build_server_verifier(name).verify(leaf, [])


def test_the_pages_certificate_keeps_apples_rules(folder, authority):
    leaf = leaf_of(open_leaf(folder, authority, PHONES, names=NAMES).path)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
    assert leaf.not_valid_before_utc < NOW
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.signature_hash_algorithm.name == "sha256"
    verifier = PolicyBuilder().store(Store([authority.certificate]))
    assert verifier.build_server_verifier(x509.IPAddress(PHONES[0])).verify(leaf, [])


def test_the_authority_and_the_certificate_are_made_once(folder, authority):
    first = open_leaf(folder, authority, PHONES, names=NAMES)
    again = open_authority(folder, names=NAMES)
    second = open_leaf(folder, again, [*PHONES[::-1], PHONES[0]], names=NAMES)
    assert (authority.made, again.made) == (True, False)
    assert (first.made, second.made) == (True, False)
    assert again.certificate == authority.certificate
    assert second.expires == first.expires


def test_starts_in_the_same_moment_agree_on_one_authority(folder):
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_authority(folder, names=NAMES), range(8)))
    assert len({one.certificate.serial_number for one in opened}) == 1
    assert sum(one.made for one in opened) == 1


def test_other_addresses_and_a_near_end_renew_the_certificate_and_not_the_authority(folder, authority):
    open_leaf(folder, authority, PHONES, names=NAMES)
    assert open_leaf(folder, authority, PHONES[:1], names=NAMES).made
    soon = NOW + timedelta(days=365)
    assert not open_leaf(folder, authority, PHONES[:1], names=NAMES, now=soon).made
    later = NOW + timedelta(days=380)
    renewed = open_leaf(folder, open_authority(folder, now=later), PHONES[:1], names=NAMES, now=later)
    assert renewed.made
    assert renewed.expires > later + timedelta(days=390)
    assert open_authority(folder, now=later).certificate == authority.certificate


def test_an_authority_at_its_end_is_made_again_and_its_certificates_never_outlive_it(folder, authority):
    near = authority.certificate.not_valid_after_utc - timedelta(days=60)
    leaf = open_leaf(folder, open_authority(folder, now=near), PHONES, names=NAMES, now=near)
    assert leaf.expires == authority.certificate.not_valid_after_utc
    nearer = near + timedelta(days=40)
    new = open_authority(folder, names=NAMES, now=nearer)
    assert new.made
    assert open_leaf(folder, new, PHONES, names=NAMES, now=nearer).made


def test_names_that_the_authority_was_not_made_for_are_left_out(folder, authority):
    leaf = open_leaf(folder, authority, PHONES, names=["renamed", "clinic.local"])
    names = leaf_of(leaf.path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "clinic.local"]
    shake_hands(leaf.path, authority.certificate, "192.168.7.20")


def test_a_public_address_is_refused_with_the_way_out(folder, authority):
    with pytest.raises(UserError, match=r"8\.8\.8\.8.*--certificate"):
        open_leaf(folder, authority, [IPv4Address("8.8.8.8")], names=NAMES)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_keys_are_for_their_owner_alone(folder, authority):
    old_umask = os.umask(0)
    try:
        open_leaf(folder, authority, PHONES, names=NAMES)
    finally:
        os.umask(old_umask)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        AUTHORITY_FILE: 0o600,
        LEAF_FILE: 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / AUTHORITY_FILE).chmod(0o644)
    with pytest.raises(UserError, match=r"others may read it .*chmod 600"):
        open_authority(folder)


def test_a_damaged_authority_is_reported_and_a_damaged_certificate_made_again(folder, authority):
    leaf = open_leaf(folder, authority, PHONES, names=NAMES)
    leaf.path.write_bytes(leaf.path.read_bytes()[:300])
    assert open_leaf(folder, authority, PHONES, names=NAMES).made
    stranger = certificates.pem(certificates.new_key(), authority.certificate)
    page = (folder / LEAF_FILE).read_bytes()
    for damage in (b"", authority.path.read_bytes()[:200], stranger, page):
        authority.path.write_bytes(damage)
        with pytest.raises(UserError, match=r"authority\.pem is damaged.*remove it"):
            open_authority(folder)


def test_the_data_folder_follows_the_desktops_rule(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "dermcapture"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_DATA_HOME", ignored)
        assert data_folder() == tmp_path / "me" / ".local" / "share" / "dermcapture"


def test_the_profile_holds_the_certificate_without_its_key_and_is_one_profile_each_time(authority):
    profile = plistlib.loads(certificates.ios_profile(authority.certificate))
    (root,) = profile["PayloadContent"]
    assert root["PayloadType"] == "com.apple.security.root"
    assert x509.load_der_x509_certificate(root["PayloadContent"]) == authority.certificate
    assert profile["PayloadDisplayName"] == "dermcapture on clinic"
    assert certificates.ios_profile(authority.certificate) == certificates.ios_profile(authority.certificate)
    secret = f"{authority.key.private_numbers().private_value:x}"
    assert secret not in certificates.ios_profile(authority.certificate).hex()


def test_a_host_name_of_any_length_makes_a_certificate():
    name = ".".join(["a" * 60] * 4)
    certificate = certificates.authority_certificate(certificates.new_key(), [name], NOW)
    assert len(certificates.common_name(certificate)) == 64
    assert certificates.common_name(
        certificates.authority_certificate(certificates.new_key(), [], NOW)
    ).endswith("this computer")


# Addresses

ETHERNET, WIFI, DOCKER, PUBLIC = (
    ("eth0", IPv4Address("10.1.2.3")),
    ("wlan0", IPv4Address("192.168.1.9")),
    ("docker0", IPv4Address("172.17.0.1")),
    ("eth1", IPv4Address("93.184.216.34")),
)
LOOP, CABLE = ("lo", IPv4Address("127.0.0.1")), ("eth2", IPv4Address("169.254.3.4"))


def test_the_default_routes_address_comes_first_and_no_phone_is_behind_a_container():
    found = [LOOP, DOCKER, ETHERNET, ETHERNET, WIFI, CABLE, PUBLIC]
    assert choose_addresses(found, WIFI[1]) == [WIFI[1], ETHERNET[1]]
    assert choose_addresses(found, PUBLIC[1]) == [ETHERNET[1], WIFI[1]]
    assert choose_addresses([LOOP], WIFI[1]) == [WIFI[1]]


def test_without_a_network_and_with_a_public_one_the_way_out_is_said():
    for found in ([], [LOOP], [LOOP, DOCKER, CABLE]):
        with pytest.raises(UserError, match=r"no network that a phone could share.*leave out --host lan"):
            choose_addresses(found, None)
    with pytest.raises(UserError, match=r"93\.184\.216\.34 is a public one.*--certificate"):
        choose_addresses([LOOP, PUBLIC], PUBLIC[1])


def test_this_machines_addresses_can_be_bound():
    import socket

    try:
        addresses = lan_addresses()
    except UserError:
        pytest.skip("this machine is in no private network")
    for address in addresses:
        with socket.socket() as listener:
            listener.bind((str(address), 0))


# A certificate of one's own


@pytest.fixture
def own(folder, authority, tmp_path) -> tuple[Path, Path]:
    """certificate and key, in two files."""
    text = open_leaf(folder, authority, PHONES, names=NAMES).path.read_text()
    start = text.index("-----BEGIN CERTIFICATE")
    chain, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    chain.write_text(
        text[start:] + authority.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
    )
    key.write_text(text[:start])
    return chain, key


def test_ones_own_certificate_gives_the_address_to_print(own):
    read = read_own_certificate(*own)
    assert read.names[:3] == ("localhost", "clinic", "clinic.local")
    way = plan_way("0.0.0.0", read)
    assert way.pair == own
    assert way.phone_access(8501).address == "https://clinic:8501"
    assert way.phone_access(443).address == "https://clinic"
    assert way.phone_access(8501).first_address == "https://clinic:8501/connect"


def test_what_is_wrong_with_ones_own_certificate_is_one_sentence(own, authority, tmp_path):
    chain, key = own
    other_key, locked, bare = tmp_path / "other.pem", tmp_path / "locked.pem", tmp_path / "bare.pem"
    other_key.write_bytes(certificates.pem(certificates.new_key(), authority.certificate))
    locked.write_bytes(
        authority.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    bare.write_bytes(authority.path.read_bytes())
    text = tmp_path / "notes.txt"
    text.write_text("no PEM")
    for certificate, private_key, sentence in (
        (tmp_path / "none.pem", key, "--certificate .*none.pem is not there"),
        (chain, tmp_path / "none.pem", "--private-key .*none.pem is not there"),
        (tmp_path, key, "is a folder"),
        (text, key, "notes.txt is not a certificate in PEM"),
        (chain, text, "notes.txt is not a private key in PEM"),
        (chain, locked, "locked with a password"),
        (chain, other_key, "is not the key of the first certificate"),
        (bare, bare, "names no host"),
    ):
        with pytest.raises(UserError, match=sentence) as raised:
            read_own_certificate(certificate, private_key)
        assert "\n" not in str(raised.value)
    for days, sentence in ((500, "ended on"), (-500, "begins on")):
        with pytest.raises(UserError, match=sentence):
            read_own_certificate(chain, key, now=NOW + timedelta(days=days))


def test_a_certificate_without_its_key_is_asked_for_it(own):
    assert own_pair(None, None) is None
    with pytest.raises(UserError, match="--certificate is given without --private-key"):
        own_pair(own[0], None)
    with pytest.raises(UserError, match="--private-key is given without --certificate"):
        own_pair(None, own[1])


def test_a_plain_host_is_served_as_before_and_asks_no_phone_in():
    way = plan_way("127.0.0.1", None)
    assert way.hosts == ("127.0.0.1",)
    assert way.pair is None
    assert way.phone_access(8501).mode == "local"
