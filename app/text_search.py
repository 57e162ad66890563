"""Looking for a text in columns, alike on all databases."""

import re
from typing import Any

from peewee import SQL, NodeList, fn


def contains(field: Any, text: str) -> Any:
    """Return the condition that `field` has `text` in it, in capitals or not, whatever the column's collation.

    The database lowers both: what its locale has no small letters for (SQLite knows those of ASCII) is found as it is.
    """
    pattern = re.sub("[!%_]", r"!\g<0>", text)
    return fn.LOWER(field).ilike(NodeList((fn.LOWER(f"%{pattern}%"), SQL("ESCAPE '!'"))))
