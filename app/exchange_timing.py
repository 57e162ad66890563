"""Where the time of an exchange went: the text of a log's `timing`. Pure.

A JSON object of whole microseconds from the start of the request to the end of each phase: `dns` (the addresses are
known), `connect` (TCP, or that to the proxy), `tls` (the handshake, and the proxy's tunnel), `firstByte` (the answer
begins) and `total`. A phase that was not reached is null; one that was not needed is 0: `tls` without TLS, `connect`
and `tls` on a connection that was there already.
"""

from collections.abc import Callable

import pycurl

Info = Callable[[int], int]


def of_answer(info: Info, begun_us: int, total_us: int) -> str:
    """Return the timing of a request that was answered.

    `info` tells libcurl's figures, which count from `begun_us`: before that, the name was looked up.
    """
    connect, tls = info(pycurl.CONNECT_TIME_T), info(pycurl.APPCONNECT_TIME_T)
    return (
        f'{{"dns":{begun_us + info(pycurl.NAMELOOKUP_TIME_T)},"connect":{connect and begun_us + connect}'
        f',"tls":{tls and begun_us + tls},"firstByte":{begun_us + info(pycurl.STARTTRANSFER_TIME_T)}'
        f',"total":{total_us}}}'
    )


def of_failure(info: Info, begun_us: int, total_us: int, is_tls: bool) -> str:
    """Return the timing of a request that libcurl worked on, and that got no answer."""
    looked_up, connect, tls = (
        info(pycurl.NAMELOOKUP_TIME_T),
        info(pycurl.CONNECT_TIME_T),
        info(pycurl.APPCONNECT_TIME_T),
    )
    is_reused = not looked_up and info(pycurl.LOCAL_PORT) > 0  # the port of a connection that it was given
    connected = begun_us + connect if connect else 0 if is_reused else None
    secured = begun_us + tls if tls else 0 if is_reused or (connect and not is_tls) else None
    return _text(begun_us + looked_up, connected, secured, total_us)


def of_nothing(known_us: int | None, total_us: int) -> str:
    """Return the timing of a request that libcurl never began: the name's addresses were known at `known_us`, if
    ever."""
    return _text(known_us, None, None, total_us)


def _text(dns: int | None, connect: int | None, tls: int | None, total: int) -> str:
    shown = ("null" if at is None else at for at in (dns, connect, tls))
    return '{{"dns":{},"connect":{},"tls":{},"firstByte":null,"total":{}}}'.format(*shown, total)
