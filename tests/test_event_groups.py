"""Event types in groups."""

from app.event_groups import GROUPS, OTHER, group_types
from app.event_types import EVENT_TYPES


def test_every_type_of_ours_has_a_group_of_its_kind() -> None:
    found = group_types(EVENT_TYPES, EVENT_TYPES)
    assert [group.title for group in found] == [title for title, _ in GROUPS]
    assert [name for group in found for name in group.types] == list(EVENT_TYPES)


def test_types_of_the_settings_come_last_whatever_their_names_are() -> None:
    found = group_types({"NODE_CREATED", "REPO_AUDITED", "ALARM"}, EVENT_TYPES)
    assert found == [("Files and folders", ["NODE_CREATED"]), (OTHER, ["ALARM", "REPO_AUDITED"])]
