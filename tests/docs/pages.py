"""The pages of the documentation, and the code blocks in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
GENERATED = {"queries.md"}  # by scripts/explain, and tested with it
PROSE = [
    ROOT / "README.md",
    ROOT / "app" / "client" / "README.md",
    *(page for page in PAGES if page.name not in GENERATED),
]

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A fenced code block: its language, its title ("" for none), its text, and the line that it begins on."""

    language: str
    title: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        language, _, rest = fence[1].strip().partition(" ")
        title = _TITLE.search(rest)
        found.append(Block(language, title[1] if title else "", fence[2], text.count("\n", 0, fence.start()) + 1))
    return found


def script_of(page: Path) -> str:
    """Return one shell script that runs the page as a reader would who follows it from top to bottom.

    A Python block with a title is a file of that name; one without is run where it stands.
    """
    parts = []
    for block in blocks_of(page):
        if block.language == "bash" and not block.title:
            parts.append(f"# line {block.line}\n{block.text}")
        elif block.language == "python":
            target = f"cat > '{block.title}'" if block.title else "python -"
            parts.append(f"# line {block.line}\n{target} <<'END OF BLOCK'\n{block.text}END OF BLOCK\n")
    return "\n".join(parts)
