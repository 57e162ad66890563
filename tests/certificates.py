"""An authority of the tests' own, and certificates that it signs: good ones, and ones with a fault."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key, unencrypted."""
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def authority(name: str = "Authority of a company", by: Certificate | None = None) -> Certificate:
    """Return a certificate that may sign others, signed `by` another authority or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    signer = by.key if by else key
    return Certificate(_signed(_named(name, by), key, signer, (now - DAY, now + DAY), is_authority=True), key)


def issued(
    by: Certificate | None, names: tuple[str, ...] = ("localhost", "127.0.0.1"), valid: tuple[int, int] = (-1, 1)
) -> Certificate:
    """Return a certificate for `names`, signed `by` an authority or by itself, `valid` from and to so many days off."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    period = (now + valid[0] * DAY, now + valid[1] * DAY)
    alternative: list[Any] = [x509.DNSName(name) for name in names if name != "127.0.0.1"]
    if "127.0.0.1" in names:
        alternative.append(x509.IPAddress(IPv4Address("127.0.0.1")))
    builder = _named(names[0], by).add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return Certificate(_signed(builder, key, by.key if by else key, period), key)


def serving_with(certificate: Certificate, directory: Path, clients_of: Certificate | None = None) -> ssl.SSLContext:
    """Return what a receiver needs to speak TLS. It asks for a certificate that `clients_of` signed, if given."""
    pem = directory / f"{certificate.certificate.serial_number}.pem"
    pem.write_text(certificate.key_pem + certificate.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if clients_of is not None:
        context.load_verify_locations(cadata=clients_of.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _named(name: str, by: Certificate | None = None) -> x509.CertificateBuilder:
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return x509.CertificateBuilder(by.certificate.subject if by else named, named)


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    period: tuple[datetime, datetime],
    *,
    is_authority: bool = False,
) -> x509.Certificate:
    return (
        builder.public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(period[0])
        .not_valid_after(period[1])
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )
