"""Handing deliveries on to a receiver on this machine."""

import time
import warnings
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.exceptions import HTTPError

from app.commands.stream import Delivery
from app.errors import OperatorError

PAUSES_S = (0.5, 1.0, 2.0)  # for a receiver that is being started again
MOST_READ = 1024 * 1024  # of an answer, whose status is all that counts
CONNECT_S = 5.0
AGENT = "Hookline"  # as deliveries have it


class Answer(NamedTuple):
    """What became of a delivery: the status of the answer, or why there was none."""

    status: int | None
    duration_ms: int
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether a server would count it as delivered."""
        return self.status is not None and 200 <= self.status < 300


class LocalReceiver:
    """Sends deliveries to `url`, one after the other."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        *,
        verify: bool = True,
        say: Callable[[str], None],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises OperatorError where `url` is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise OperatorError(f"--forward: {url!r} is no address; give one like http://localhost:3000/hook")
        self._url = url
        self._timeouts = CONNECT_S, timeout_s
        self._say = say
        self._wait = wait
        self._is_down = False
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or a .netrc is not for this machine
        self._session.verify = verify
        self._session.headers.clear()
        self._session.headers.update({"User-Agent": AGENT, "Accept": "*/*"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(self, delivery: Delivery) -> Answer:
        """Hand one delivery on and return the answer. Redirects are not followed.

        Where nothing listens, it tries again for some seconds, unless it has done so for the one before.
        """
        answer = self._try(delivery)
        for pause_s in () if self._is_down else PAUSES_S:
            if answer.status is not None or answer.error is None or not answer.error.startswith(_DOWN):
                break
            if pause_s == PAUSES_S[0]:
                self._say(f"{self._url}: {answer.error}. Trying again for {sum(PAUSES_S):g} s …")
            self._wait(pause_s)
            answer = self._try(delivery)
        self._is_down = answer.status is None
        return answer

    def _try(self, delivery: Delivery) -> Answer:
        begun = time.monotonic()

        def ended(status: int | None, error: str | None = None) -> Answer:
            return Answer(status, round((time.monotonic() - begun) * 1000), error)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # as --skip-verify asks
                answer = self._session.post(
                    self._url,
                    data=delivery["body"].encode(),
                    headers=delivery["headers"],
                    timeout=self._timeouts,
                    allow_redirects=False,
                    stream=True,
                )
            with answer:
                answer.raw.read(MOST_READ)
            self.close()  # kept, it would be found dead where the receiver was started again meanwhile
        except requests.exceptions.SSLError:
            return ended(None, "its certificate is not trusted, or it speaks no TLS; see --skip-verify")
        except requests.ConnectTimeout:
            return ended(None, f"{_DOWN} within {CONNECT_S:g} s")
        except (requests.Timeout, urllib3.exceptions.ReadTimeoutError):
            return ended(None, f"no answer within {self._timeouts[1]:g} s")
        except requests.ConnectionError as error:
            return ended(None, _DOWN if _is_refused(error) else "it closed the connection without an answer")
        except (requests.RequestException, HTTPError, OSError) as error:
            return ended(None, " ".join(str(error).split()) or type(error).__name__)
        return ended(answer.status_code)


_DOWN = "nothing answers there"


def _is_refused(error: requests.ConnectionError) -> bool:
    """Return whether no connection came about, so that nothing can have been received."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)
