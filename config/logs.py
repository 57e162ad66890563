"""Logging on standard error: JSON, an object a line, or text for people; see docs/tracing.md.

A record may hold many lines of one kind (`write_lines`): what is written thousands of times a second must not go
through the machinery of logging each time.
"""

import logging
import os
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from config.log_fields import Secrets, cleaned, fields_of, shown, utc
from config.settings import Settings

# A write of so many bytes to a pipe is never mixed with another process's (POSIX, PIPE_BUF on Linux).
_ATOMIC = 4_096
# Libraries say what they do in too many lines, and the database's would show every value that is written.
_OWN = ("app", "workers", "config")
# The exporter of traces complains at each batch that it can't get rid of; once in so many seconds is enough.
_REPEATED = "opentelemetry"
_PATIENCE_S = 60.0

# What Granian is to make of its loggers: nothing of its own.
GRANIAN = {
    "formatters": {},
    "handlers": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}

_encoder = msgspec.json.Encoder()
_secrets = Secrets()


class Lines(logging.LogRecord):
    """A record of several lines: `lines` are structs, whose fields each line shows after what the record says."""

    def __init__(self, name: str, level: int, message: str, lines: Sequence[msgspec.Struct]) -> None:
        super().__init__(name, level, "", 0, message, (), None)
        self.lines = lines

    def getMessage(self) -> str:
        """Return all lines as text."""
        return "\n".join(f"{self.msg} {_text_of(line)}" for line in self.lines)


def write_lines(log: logging.Logger, message: str, lines: Sequence[msgspec.Struct]) -> None:
    """Write `lines` at level INFO as one record. Ask `log.isEnabledFor` before making them."""
    if lines:
        log.handle(Lines(log.name, logging.INFO, message, lines))


def masked(text: str) -> str:
    """Return `text` without this process's own secrets, and without those that stand in URLs."""
    return _secrets.masked(text)


def configure_logging(settings: Settings, role: str) -> None:
    """Send records to standard error, in the form and from the level that `settings` say, as a process of `role`.

    DEBUG is for the service's own loggers: what libraries say below INFO is left out. Call it again after a fork.
    """
    global _secrets
    _secrets = Secrets(settings)
    stream = sys.stderr
    form = settings.log_format
    if form == "auto":
        form = "text" if stream.isatty() else "json"
    level = logging.getLevelName(settings.log_level)
    logging.basicConfig(
        level=max(level, logging.INFO), handlers=[LineHandler(stream, form == "json", role)], force=True
    )
    for name in _OWN:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread


class LineHandler(logging.Handler):
    """Writes whole lines, in UTF-8 whatever the locale says."""

    def __init__(self, stream: Any, as_json: bool, role: str) -> None:
        super().__init__()
        self._stream = stream
        self._as_json = as_json
        self._process = {"role": role, "pid": os.getpid()}
        self._chunk = _ATOMIC if _is_pipe(stream) else sys.maxsize
        self.addFilter(_Repeated())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Raises nothing: a log that can't be written must not stop what it tells of."""
        try:
            try:
                data = self.lines(record)
            except Exception as error:  # someone's arguments don't fit the text, or can't be shown
                what = f"a record of {record.name} can't be shown: {type(error).__name__}"
                data = self.lines(logging.LogRecord(__name__, logging.ERROR, "", 0, what, (), None))
            for chunk in _chunks(data, self._chunk):
                self._write(chunk)
        except (OSError, ValueError):  # nobody listens any more
            return

    def lines(self, record: logging.LogRecord) -> bytes:
        """Return what is written of `record`, with the end of its last line."""
        if isinstance(record, Lines):
            return self._json_lines(record) if self._as_json else self._text_lines(record)
        fields = {**fields_of(record, _secrets), **self._process} if self._as_json else fields_of(record, _secrets)
        return _encoder.encode(cleaned(self._ordered(fields))) + b"\n" if self._as_json else _as_text(record, fields)

    def _ordered(self, fields: dict[str, Any]) -> dict[str, Any]:
        first = ("time", "level", "logger", "message", "role", "pid", "traceId")
        return {name: fields[name] for name in first if name in fields} | fields

    def _json_lines(self, record: Lines) -> bytes:
        common = {"time": utc(record.created), "level": record.levelname, "logger": record.name, "message": record.msg}
        begin = _encoder.encode(common | self._process)[:-1] + b","
        try:
            data = _encoder.encode_lines(record.lines)
        except UnicodeEncodeError:
            data = _encoder.encode_lines([cleaned(msgspec.to_builtins(line)) for line in record.lines])
        # Within JSON a line feed is always escaped, so each that is there ends an object.
        return b"".join([begin + line[1:] for line in data.splitlines(keepends=True)])

    def _text_lines(self, record: Lines) -> bytes:
        begin = f"{utc(record.created)} {record.levelname} {record.name} {record.msg} "
        return "".join(f"{begin}{_text_of(line)}\n" for line in record.lines).encode("utf-8", "replace")

    def _write(self, data: bytes) -> None:
        raw = getattr(self._stream, "buffer", None)
        if raw is None:
            self._stream.write(data.decode("utf-8", "replace"))
        else:
            raw.write(data)
        self._stream.flush()


class _Repeated(logging.Filter):
    """Lets through what the exporter of traces says once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` is to be written."""
        if not record.name.startswith(_REPEATED):
            return True
        if record.created < self._said.get(record.name, -_PATIENCE_S) + _PATIENCE_S:
            return False
        self._said[record.name] = record.created
        return True


def _as_text(record: logging.LogRecord, fields: dict[str, Any]) -> bytes:
    line = f"{fields['time']} {record.levelname} {record.name} {shown(fields['message'])}"
    if "traceId" in fields:
        line += f" traceId={fields['traceId']}"
    for more in "exception", "stack":
        if more in fields:
            line += "\n" + shown(fields[more], keep="\n\t")
    return f"{line}\n".encode("utf-8", "replace")


def _text_of(line: msgspec.Struct) -> str:
    given = msgspec.to_builtins(line)
    text = " ".join([f"{name}={value}" for name, value in given.items()])
    if text.isprintable() and text.count(" ") == len(given) - 1:
        return text
    return " ".join([f"{name}={value if _is_word(value) else shown(repr(value))}" for name, value in given.items()])


def _is_word(value: Any) -> bool:
    return not isinstance(value, str) or (value.isprintable() and " " not in value and value != "")


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Cut `data` after ends of lines into pieces of `size` at most; a longer line is a piece of its own."""
    start = 0
    while len(data) - start > size:
        end = data.rfind(b"\n", start, start + size) + 1 or data.find(b"\n", start + size) + 1
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


def _is_pipe(stream: Any) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit or ended.exc_value is None:
        return
    name = ended.thread.name if ended.thread else "?"
    about = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    logging.getLogger(__name__).critical("thread=%s has ended", name, exc_info=about)
