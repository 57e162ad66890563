"""This machine and the settings, for `hookline doctor`."""

import os
import resource
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509

from app.address_guard import AddressGuard
from app.doctor import Check, Finding, broken, doubtful, good
from app.doctor_database import file_of
from config.settings import Settings

OTHER_FILES = 200  # that a worker has open besides its connections to receivers
PROXY_PATIENCE_S = 3.0
SOON = timedelta(days=14)

_SAMPLES = {
    "this machine": ("127.0.0.1", "::1"),
    "the cloud's metadata": ("169.254.169.254", "fd00:ec2::254"),
    "private networks": ("10.0.0.1", "172.16.0.1", "192.168.0.1", "fc00::1"),
}


def data_directory(settings: Settings) -> Finding | None:
    """Check the data directory, which holds the key and the database where the settings name neither."""
    if settings.secret_key and file_of(settings) is None:
        return None
    place = settings.data_dir.absolute()
    if not place.exists():
        parent = next(each for each in place.parents if each.exists())
        if not os.access(parent, os.W_OK, effective_ids=True):
            return broken(f"{place} is not there, and can't be made", f"make it, owned by the service's user: {place}")
        return doubtful(f"{place} is not there yet", "hookline release makes it, and so does hookline serve")
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return broken(f"{place} can't be written", f"chown it to the service's user: {place}")
    return good(f"{place} can be written")


def key_file(settings: Settings) -> Finding | None:
    """Check who can read the key."""
    path = settings.data_dir / "secret.key"
    if settings.secret_key or not path.exists():
        return None
    if path.stat().st_mode & 0o077:
        return broken(f"others can read {path}, which opens all stored secrets", f"chmod 600 {path}")
    return good(f"only its owner can read {path}")


def guard(settings: Settings) -> Finding:
    """Check where deliveries may go."""
    allows = AddressGuard(settings.allow_networks).allows
    open_to = [name for name, addresses in _SAMPLES.items() if any(allows(address) for address in addresses)]
    if not open_to:
        return good("deliveries go to public addresses only, and to ALLOW_NETWORKS")
    text = f"ALLOW_NETWORKS lets whoever can make a webhook reach {', '.join(open_to)}"
    return doubtful(text, "allow no more than the networks of your receivers")


def public_url(settings: Settings) -> Finding | None:
    """Check the address of the dashboard."""
    url = settings.public_url
    if url is None or url.startswith("https://") or urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}:
        return None if url is None else good(f"PUBLIC_URL is {url}")
    return doubtful(f"PUBLIC_URL is {url}: passwords cross the network in the clear", "serve it by https://")


def authorities(settings: Settings) -> Finding | None:
    """Check the certificates of CA_BUNDLE."""
    if settings.ca_bundle is None:
        return None
    now = datetime.now(UTC)
    found = x509.load_pem_x509_certificates(settings.ca_bundle.encode())
    for certificate in found:
        if certificate.not_valid_after_utc <= now + SOON:
            ends = f"{certificate.subject.rfc4514_string()} ends {certificate.not_valid_after_utc:%Y-%m-%d}"
            make = broken if certificate.not_valid_after_utc <= now else doubtful
            return make(f"CA_BUNDLE: {ends}", "put the authority's new certificate into the file")
    return good(f"CA_BUNDLE holds {len(found)} certificate{'s' if len(found) > 1 else ''}")


def proxy(settings: Settings) -> Finding | None:
    """Check that something listens where OUTBOUND_PROXY says."""
    if settings.outbound_proxy is None:
        return None
    place = urlsplit(settings.outbound_proxy.url)
    with socket.create_connection((place.hostname or "", place.port or 0), PROXY_PATIENCE_S):
        return good(f"OUTBOUND_PROXY: {settings.outbound_proxy.url} takes connections")


def open_files(settings: Settings) -> Finding:
    """Check how many files a process may have open."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_in_flight + OTHER_FILES
    shown = "any number of" if most == resource.RLIM_INFINITY else f"{most:,}"
    if most != resource.RLIM_INFINITY and most < needed:
        text = f"{most:,} open files a process are too few for MAX_IN_FLIGHT={settings.max_in_flight}"
        return doubtful(text, f"ulimit -n {2 * needed} (systemd: LimitNOFILE={2 * needed}), or lower MAX_IN_FLIGHT")
    return good(f"{shown} open files a process are enough")


CHECKS = (
    Check("data directory", data_directory, "correct HOOKLINE_DATA"),
    Check("key file", key_file, "correct HOOKLINE_DATA"),
    Check("addresses", guard, "correct ALLOW_NETWORKS"),
    Check("dashboard", public_url, "correct PUBLIC_URL"),
    Check("authorities", authorities, "correct CA_BUNDLE"),
    Check("proxy", proxy, "start the proxy, or correct OUTBOUND_PROXY"),
    Check("open files", open_files, "see ulimit -n"),
)
