"""The options that every libcurl handle of ours has, whatever it sends."""

import pycurl

from config.networks import Proxy


def new_handle(authorities: str, proxy: Proxy | None) -> pycurl.Curl:
    """Return a handle for HTTP alone. `authorities` is the path of the certificates that vouch for receivers."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.CAINFO, authorities)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    curl.setopt(pycurl.PIPEWAIT, 1)  # rather wait for a connection that HTTP/2 can share than open one more
    curl.setopt(pycurl.USERAGENT, "Hookline")
    # Neither http_proxy nor no_proxy nor their like in the environment may redirect deliveries.
    curl.setopt(pycurl.PROXY, proxy.url if proxy else "")
    curl.setopt(pycurl.NOPROXY, "")
    if proxy:
        curl.setopt(pycurl.PROXYUSERNAME, proxy.username)
        curl.setopt(pycurl.PROXYPASSWORD, proxy.password)
        curl.setopt(pycurl.PROXY_CAINFO, authorities)
    return curl


def show_certificate(curl: pycurl.Curl, pem: bytes) -> None:
    """Make `curl` show the certificate and chain in `pem`, which holds the key too. Use it for no other after.

    libcurl shares no connection among certificates. A TLS session can't tell which one it was made with, so none is
    resumed or kept.
    """
    curl.setopt(pycurl.SSLCERT_BLOB, pem)
    curl.setopt(pycurl.SSLKEY_BLOB, pem)
    curl.setopt(pycurl.SSL_SESSIONID_CACHE, 0)
