"""Client certificates: what is taken, what is refused, what is kept and shown of it."""

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from app.certificate_pem import MAX_PEM, clean_pem, describe_pem
from app.dates import to_iso
from app.errors import BadRequest
from tests.certificates import authority, issued

AUTHORITY = authority()
MINE = issued(AUTHORITY, ("client.example",))
OTHER = issued(AUTHORITY, ("other.example",))
OLD_FORM = MINE.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
ENCRYPTED = MINE.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()


def client_pem() -> str:
    """Return a client certificate with its chain and key."""
    return MINE.pem + AUTHORITY.pem + MINE.key_pem


def reason_of(pem: object) -> str:
    with pytest.raises(BadRequest) as raised:
        clean_pem("clientCertificate", pem)
    assert raised.value.params["field"] == "clientCertificate"
    return raised.value.reason


def test_the_chain_is_kept_in_its_order_and_then_the_key() -> None:
    assert clean_pem("f", client_pem()) == client_pem()


@pytest.mark.parametrize(
    "given",
    [
        MINE.key_pem + MINE.pem + AUTHORITY.pem,
        f"Bag attributes: none\n{MINE.pem}\nsubject=CN = 客户\n{MINE.key_pem}\n{AUTHORITY.pem}",
        client_pem().replace("\n", "\r\n"),
        MINE.pem + AUTHORITY.pem + OLD_FORM,
    ],
)
def test_any_order_comments_and_line_ends_come_to_the_same(given: str) -> None:
    assert clean_pem("f", given) == client_pem()


def test_openssl_takes_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "client.pem"
    path.write_text(clean_pem("f", MINE.pem + OLD_FORM))
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)


def test_subject_and_end_are_those_of_the_first() -> None:
    shown = describe_pem(clean_pem("f", client_pem()))
    assert shown.subject == "CN=client.example"
    first = x509.load_pem_x509_certificates(client_pem().encode())[0]
    assert datetime.fromtimestamp(shown.expires_at / 1000, UTC) == first.not_valid_after_utc


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (5, "not_string"),
        (["x"], "not_string"),
        ("x" * (MAX_PEM + 1), "too_long"),
        (client_pem() + "\0", "control_characters"),
        ("no PEM at all", "certificate_unreadable"),
        (MINE.key_pem, "certificate_unreadable"),
        (MINE.pem.replace("M", "-", 5) + MINE.key_pem, "certificate_unreadable"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + MINE.key_pem, "certificate_unreadable"),
        (MINE.pem, "certificate_key"),
        (MINE.pem + MINE.key_pem + OTHER.key_pem, "certificate_key"),
        (MINE.pem + ENCRYPTED, "certificate_key"),
        (MINE.pem + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "certificate_key"),
        (MINE.pem + "-----BEGIN PRIVATE KEY-----\nAAAA\n", "certificate_key"),
        (MINE.pem + OTHER.key_pem, "certificate_mismatch"),
        (AUTHORITY.pem + MINE.pem + MINE.key_pem, "certificate_mismatch"),
    ],
    ids=range(15),
)
def test_what_is_no_certificate_with_its_key_is_refused(given: object, reason: str) -> None:
    assert reason_of(given) == reason


def test_a_key_of_another_kind_does_not_fit() -> None:
    for key in rsa.generate_private_key(65_537, 1_024), ed25519.Ed25519PrivateKey.generate():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        assert reason_of(MINE.pem + pem) == "certificate_mismatch"


def test_a_certificate_that_never_ends_has_an_end_in_every_zone() -> None:
    never = issued(None, ("a",), valid=(-1, (datetime(9999, 12, 31, tzinfo=UTC) - datetime.now(UTC)).days))
    shown = describe_pem(clean_pem("f", never.pem + never.key_pem))
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert to_iso(shown.expires_at, ZoneInfo(zone)).startswith("9999-12-")  # a day or two before the last


def test_no_text_takes_long_to_refuse() -> None:
    begun = time.monotonic()
    for block in ("-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----", "-", "-----BEGIN "):
        text = MINE.pem + block * ((MAX_PEM - len(MINE.pem)) // len(block))
        assert reason_of(text) in {"certificate_key", "certificate_unreadable"}
    assert time.monotonic() - begun < 1


def test_a_long_key_is_not_searched_for_its_faults() -> None:
    p, q = (1 << 8_000) + 1, (1 << 8_000) + 3
    numbers = rsa.RSAPrivateNumbers(p, q, 3, 1, 1, 1, rsa.RSAPublicNumbers(65_537, p * q))
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert reason_of(MINE.pem + pem) == "certificate_mismatch"
