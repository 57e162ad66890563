"""Messages as Dramatiq 2.2 writes them: JSON of a message's fields, with its id in Redis among its options."""

from collections.abc import Iterable, Sequence

import dramatiq
import msgspec
from dramatiq.broker import MessageProxy

from app.ids import new_id
from app.queue import Message


class _Dated(msgspec.Struct):
    message_timestamp: int


class FetchedMessage(MessageProxy):
    """A message with the id under which Redis knows it."""

    def __init__(self, message: Message, redis_id: bytes) -> None:
        super().__init__(message)
        self.redis_id = redis_id


class Undecodable(ValueError):
    """What is in the queue is no message of Dramatiq's."""


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(dramatiq.Message).decode
_decode_date = msgspec.json.Decoder(_Dated).decode


def encode_many(messages: Iterable[Message]) -> list[str | bytes]:
    """Return ids of Redis, new ones, and encoded messages by turns: id, message, id, message…

    It gives what Dramatiq's JSONEncoder does, but for characters outside ASCII, which need no escapes in JSON.
    """
    pairs: list[str | bytes] = []
    for message in messages:
        redis_id = new_id()
        fields = {
            "queue_name": message.queue_name,
            "actor_name": message.actor_name,
            "args": message.args,
            "kwargs": message.kwargs,
            "options": {**message.options, "redis_message_id": redis_id},
            "message_id": message.message_id,
            "message_timestamp": message.message_timestamp,
        }
        pairs += (redis_id, _encode(fields))
    return pairs


def decode(raw: bytes, redis_id: bytes) -> FetchedMessage:
    """Return the message that `raw` encodes. Raises Undecodable, also for JSON that no standard knows, such as NaN."""
    try:
        return FetchedMessage(_decode(raw), redis_id)
    except (ValueError, RecursionError) as error:
        raise Undecodable(str(error)) from error


def first_timestamp(raws: Sequence[bytes | None]) -> int | None:
    """Return the time (ms) of the first of the messages that can be read, or None."""
    for raw in raws:
        try:
            return _decode_date(raw or b"").message_timestamp
        except (ValueError, RecursionError):
            continue
    return None
