"""Header fields as libcurl takes and gives them: lines. Pure."""


def header_lines(headers: dict[str, str]) -> list[str]:
    """Return the lines of `headers`. Raises ValueError where one would end early and start another."""
    lines = list(map(": ".join, headers.items()))
    joined = "".join(lines)
    if "\r" in joined or "\n" in joined:
        raise ValueError("a header holds a line break")
    return lines


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    """Return the fields of the last header block (there may be 1xx ones before); repeated ones joined by commas."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            fields = {}
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip(), value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
