"""Server-sent events: the form of their messages (HTML standard §9.2). Pure."""


def message(name: str, at: int | str, text: str = "") -> str:
    """Return an event; whoever comes back with its id, `at`, gets what was new after it."""
    lines = text.splitlines() or [""]
    return "\n".join((f"id: {at}", f"event: {name}", *(f"data: {line}" for line in lines), "", ""))
