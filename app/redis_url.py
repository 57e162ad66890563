"""REDIS_URL: one server, with TLS or at a socket, or a service that Sentinel knows.

| URL | what |
|---|---|
| `redis://[user:password@]host[:6379][/0]` | a server; the number is the database |
| `rediss://…` | the same with TLS |
| `unix://[user:password@]/path/of/socket[?db=0]` | a server on this machine |
| `redis+sentinel://[user:password@]host1[:26379],host2/service[/0]` | the master of a service, as Sentinel says |
| `rediss+sentinel://…` | the same with TLS, to the Sentinels too |

Options follow a question mark. They are redis-py's: `ssl_ca_certs=/path` names the authorities to trust,
`ssl_cert_reqs=none` trusts any certificate (Heroku's Redis signs its own). `sentinel_username` and
`sentinel_password` are what the Sentinels ask for. A `/`, `?`, `#`, `@`, `:` or `%` in a password is percent-encoded.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote

REDIS_PORT = 6379
SENTINEL_PORT = 26379

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_ENCODE = "percent-encode /, ?, #, @, : and % in a password"
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed REDIS_URL."""

    shown: str  # without user, password and options, for messages and logs
    options: Mapping[str, Any] = field(repr=False)  # as redis.Redis takes them
    service: str = ""  # that Sentinel knows; empty without Sentinel
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def parse_redis_url(raw: str) -> RedisUrl:
    """Return what `raw` says. Raises ValueError with a text that tells what is wrong, and shows no password."""
    scheme, _, _ = raw.partition("://")
    if scheme not in _SCHEMES or "://" not in raw:
        raise ValueError(f"it must begin with one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    parts = _parts(raw)
    if "#" in raw or "@" in parts.path + parts.query:
        raise ValueError(f"it has # or @ where none belongs; {_ENCODE}")
    userinfo, _, place = parts.netloc.rpartition("@")
    options = _credentials(userinfo) | _query(parts.query, secure=scheme.startswith("rediss"))
    if scheme == "unix":
        return _socket(parts, place, options)
    if scheme.endswith("+sentinel"):
        return _service(parts, place, options)
    if "," in place:
        raise ValueError("several hosts need redis+sentinel://")
    host, port = _address(place, REDIS_PORT)
    options |= {"host": host, "port": port, "db": _database(parts.path, options)}
    return RedisUrl(f"{scheme}://{place}{parts.path}", options | _tls(scheme))


def _parts(raw: str) -> SplitResult:
    """Split as RFC 3986, appendix B does. Some versions of `urlsplit` take brackets for those of one host."""
    scheme, _, rest = raw.partition("://")
    hierarchy, _, query = rest.partition("?")
    netloc, slash, path = hierarchy.partition("/")
    return SplitResult(scheme, netloc, slash + path, query, "")


def _socket(parts: SplitResult, place: str, options: dict[str, Any]) -> RedisUrl:
    if place or parts.path in ("", "/"):
        raise ValueError("give the path of a socket, such as unix:///run/redis.sock?db=0")
    return RedisUrl(f"unix://{parts.path}", options | {"unix_socket_path": unquote(parts.path)})


def _service(parts: SplitResult, place: str, options: dict[str, Any]) -> RedisUrl:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("give the service's name after the Sentinels, such as redis+sentinel://host:26379/mymaster/0")
    tls = _tls(parts.scheme)
    sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")} | tls
    for name in ("username", "password"):
        if f"sentinel_{name}" in options:
            sentinel[name] = options.pop(f"sentinel_{name}")
    options["db"] = _database(database, options)
    return RedisUrl(
        shown=f"{parts.scheme}://{place}{parts.path}",
        options=options | tls,
        service=unquote(service),
        sentinels=tuple(_address(word, SENTINEL_PORT) for word in place.split(",")),
        sentinel_options=sentinel,
    )


def _credentials(userinfo: str) -> dict[str, Any]:
    if "@" in userinfo:
        raise ValueError(f"there is more than one @: {_ENCODE}")
    user, _, password = userinfo.partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _address(place: str, default_port: int) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(place)
    port = int(found["port"] or default_port) if found else 0
    if found is None or not 1 <= port <= 65_535:
        raise ValueError(f"give hosts as name or name:port; {_ENCODE}")
    return found["host"].strip("[]"), port


def _database(path: str, options: Mapping[str, Any]) -> int:
    number = path.strip("/")
    if not number:
        return int(options.get("db", 0))
    return _whole(number, "the database")


def _tls(scheme: str) -> dict[str, Any]:
    return {"ssl": True} if scheme.startswith("rediss") else {}


def _query(query: str, *, secure: bool) -> dict[str, Any]:
    options = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ValueError(f"its options can be {', '.join(_OPTIONS)}")  # a name might be a part of a password
        if name.startswith("ssl_") and not secure:
            raise ValueError(f"{name} needs rediss://")
        options[name] = _OPTIONS[name](value, name)
    return options


def _text(value: str, name: str) -> str:
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _whole(value: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError(f"{name} must be a number")
    return int(value)


def _truth(value: str, name: str) -> bool:
    if value.lower() not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError(f"{name} must be true or false")
    return value.lower() in ("true", "yes", "1")


def _requirement(value: str, name: str) -> str:
    if value not in ("none", "optional", "required"):
        raise ValueError(f"{name} must be none, optional or required")
    return value


# Time-outs are not among them: a consumer that blocks and a publish that must not wait need those of their own.
_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "db": _whole,
    "username": _text,
    "password": _text,
    "client_name": _text,
    "health_check_interval": _whole,
    "sentinel_username": _text,
    "sentinel_password": _text,
    "ssl_cert_reqs": _requirement,
    "ssl_check_hostname": _truth,
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_password": _text,
}
