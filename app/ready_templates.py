"""The templates that come with the service: messages for the bots of chats, and where to start from with one's own."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Final, TypedDict

from msgspec import Meta

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "slack": "Slack: incoming webhook",
        "dingtalk": "DingTalk: custom robot",
        "wecom": "WeCom: group robot",
        "feishu": "Feishu and Lark: custom bot",
        "teams": "Microsoft Teams: workflow",
    }
)


class ReadyTemplate(TypedDict):
    """A template that comes with the service."""

    name: Annotated[str, Meta(description="What to give as `payloadFormat`")]
    title: str
    template: Annotated[str, Meta(description="Its source, to be changed and given as `payloadTemplate`")]


def ready_templates() -> list[ReadyTemplate]:
    """Return all of them."""
    return [{"name": name, "title": title, "template": source_of(name)} for name, title in TITLES.items()]


@cache
def source_of(name: str) -> str:
    """Return the source of the one with that name."""
    return (files("app") / "templates" / f"{name}.json.j2").read_text("utf-8")
