"""The OpenAPI document as its page shows it: operations in groups, fields of types, examples, commands. Pure."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

Json = Mapping[str, Any]

_LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "pattern")


class Piece(NamedTuple):
    """A part of what is said of a type: a text, or the name of a type that has a place of its own on the page."""

    text: str
    is_link: bool = False


class Field(NamedTuple):
    """A field of an object, or a parameter. `limits` are in the words of JSON Schema."""

    name: str
    kind: list[Piece]
    is_required: bool
    description: str
    limits: list[str]
    place: str = ""


class Sample(NamedTuple):
    """An example: what it is of, and its text."""

    name: str
    media_type: str
    text: str


class Part(NamedTuple):
    """A body or an answer."""

    title: str
    description: str
    kind: list[Piece]
    samples: list[Sample]
    fields: list[Field]


class Operation(NamedTuple):
    """What can be called."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Field]
    body: Part | None
    answers: list[Part]
    command: str


class Group(NamedTuple):
    """Operations about the same things."""

    name: str
    description: str
    operations: list[Operation]


class Type(NamedTuple):
    """An object and its fields."""

    name: str
    description: str
    fields: list[Field]


class Payload(NamedTuple):
    """What receivers get for an event."""

    type: str
    description: str
    fields: list[Field]
    sample: str


def groups_of(document: Json, base: str) -> list[Group]:
    """Return the operations by their tags; commands go to `base`, such as `https://hookline.example.com`."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append(_operation(document, method.upper(), path, operation, base=base))
    return [Group(tag["name"], tag["description"], found[tag["name"]]) for tag in document["tags"]]


def types_of(document: Json) -> list[Type]:
    """Return the types that have names."""
    schemas = document["components"]["schemas"]
    return [Type(name, schema.get("description", ""), list(fields_of(schema))) for name, schema in schemas.items()]


def payloads_of(document: Json) -> list[Payload]:
    """Return what receivers get, by event type."""
    found = []
    for event_type, call in document["webhooks"].items():
        content = call["post"]["requestBody"]["content"]["application/json"]
        sample = _text(content["examples"]["payload"]["value"])
        found.append(Payload(event_type, call["post"]["summary"], list(fields_of(content["schema"])), sample))
    return found


def fields_of(schema: Json) -> Iterator[Field]:
    """Yield the fields of an object, those first that are required."""
    required = schema.get("required", ())
    for name, field in sorted(schema.get("properties", {}).items(), key=lambda each: each[0] not in required):
        yield Field(name, pieces_of(field), name in required, _described(field), limits_of(field))


def pieces_of(schema: Json) -> list[Piece]:
    """Return what is said of a type."""
    if "$ref" in schema:
        return [Piece(schema["$ref"].rpartition("/")[2], is_link=True)]
    if "const" in schema:
        return [Piece(json.dumps(schema["const"]))]
    if "enum" in schema:
        return [Piece(" | ".join(map(json.dumps, schema["enum"])))]
    if "anyOf" in schema:
        joined = [piece for part in schema["anyOf"] for piece in (Piece(" | "), *pieces_of(part))]
        return joined[1:]
    inner = schema.get("items") or schema.get("additionalProperties")
    if schema.get("type") in ("array", "object") and isinstance(inner, dict):
        return [Piece("list of " if schema["type"] == "array" else "object of "), *pieces_of(inner)]
    return [Piece(schema.get("type", "any"))]


def limits_of(schema: Json) -> list[str]:
    """Return what narrows a type."""
    parts = (schema, *schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else []))
    return [f"{name} {part[name]}" for part in parts for name in _LIMITS if name in part]


def _described(schema: Json) -> str:
    said = [part["description"] for part in (schema, *schema.get("anyOf", ())) if "description" in part]
    return said[0] if said else ""


def _operation(document: Json, method: str, path: str, operation: Json, *, base: str) -> Operation:
    body = operation.get("requestBody")
    return Operation(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        parameters=[_parameter(each) for each in operation.get("parameters", ())],
        body=None if body is None else _part(document, "", {"description": "", **body}),
        answers=[_part(document, status, answer) for status, answer in operation["responses"].items()],
        command=_command(document, method, base + path, operation),
    )


def _parameter(parameter: Json) -> Field:
    schema = parameter["schema"]
    kind, limits = pieces_of(schema), limits_of(schema)
    return Field(parameter["name"], kind, parameter["required"], parameter["description"], limits, parameter["in"])


def _part(document: Json, title: str, part: Json) -> Part:
    samples = [
        Sample(name, media_type, _text(_resolved(document, example)["value"]))
        for media_type, content in part["content"].items()
        for name, example in content["examples"].items()
    ]
    schema = next(iter(part["content"].values()))["schema"]
    data = schema.get("properties", {}).get("data", schema)
    fields = list(fields_of(_resolved(document, data))) if "$ref" in data else []
    return Part(title, part["description"], pieces_of(data), samples, fields)


def _resolved(document: Json, part: Json) -> Json:
    found = document
    for name in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        found = found[name]
    return found if "$ref" in part else part


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _command(document: Json, method: str, url: str, operation: Json) -> str:
    """Return a command that makes the call, for any POSIX shell."""
    query = {}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", parameter["example"])
        elif parameter["in"] == "query" and parameter["required"]:
            query[parameter["name"]] = parameter["example"]
    words = []
    if operation.get("security", document["security"]) == document["security"]:
        words.append('--user "$HOOKLINE_USER:$HOOKLINE_PASSWORD"')
    words.append(f"--request {method} {shlex.quote(f'{url}?{urlencode(query)}' if query else url)}")
    if "requestBody" in operation:
        media_type, content = next(iter(operation["requestBody"]["content"].items()))
        words.append(f"--header {shlex.quote(f'Content-Type: {media_type}')}")
        sample = next(iter(content["examples"].values()))["value"]
        words.append(f"--data {shlex.quote(json.dumps(sample, ensure_ascii=False))}")
    return "curl " + " \\\n  ".join(words)
