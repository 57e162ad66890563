"""Who vouches for receivers: the publicly known authorities, and the operator's own beside them."""

import os
import ssl
from ipaddress import ip_network
from pathlib import Path

import certifi

from app.address_guard import AddressGuard
from app.authorities import Authorities
from app.exchange import Request
from app.services import open_services
from app.transport import Transport
from config.settings import load_settings
from tests.certificates import authority, issued, serving_with
from tests.raw_receiver import answering, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def subjects(path: str) -> list[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return [str(known["subject"]) for known in context.get_ca_certs()]


def test_without_an_own_one_the_public_list_is_used_as_it_is() -> None:
    authorities = Authorities(None)
    assert authorities.path == certifi.where()
    authorities.close()


def test_an_own_one_is_added_to_the_public_list() -> None:
    authorities = Authorities(authority("Of a company").pem)
    known, public = subjects(authorities.path), subjects(certifi.where())
    assert len(known) == len(public) + 1
    assert any("Of a company" in subject for subject in known)
    authorities.close()
    authorities.close()
    assert not os.path.exists(authorities.path)


def test_several_own_ones_vouch_and_without_them_nobody_does(tmp_path: Path) -> None:
    first, second = authority("First"), authority("Second")
    with serving(answering(OK), serving_with(issued(second), tmp_path)) as server:
        for bundle, status in ((first.pem + second.pem, 200), (first.pem, None), (None, None)):
            transport = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=4, ca_bundle=bundle)
            for _ in range(2):
                outcome = transport.send(Request(server.url, {}, b"{}", 2_000))
                assert outcome.status == status
                assert status or outcome.error == "TLS: the certificate's authority is not trusted (see CA_BUNDLE)"
            transport.stop()


def test_the_setting_reaches_deliveries(environ: dict[str, str], tmp_path: Path, database_place: object) -> None:
    own = authority()
    bundle = tmp_path / "ca.pem"
    bundle.write_text(own.pem)
    services = open_services(load_settings({**environ, "CA_BUNDLE": str(bundle)}))
    with serving(answering(OK), serving_with(issued(own), tmp_path)) as server:
        outcome = services.transport.send(Request(server.url, {}, b"{}", 2_000))
    services.close()
    assert (outcome.status, outcome.error) == (200, None)
