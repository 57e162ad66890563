"""The sections of the dashboard, in the order of the menu."""

from typing import NamedTuple

from flask import Blueprint

from app.ui.account import account
from app.ui.admin_keys import admin_keys
from app.ui.admin_system import admin_system
from app.ui.admin_users import admin
from app.ui.events import events_ui
from app.ui.logs import logs_ui
from app.ui.overview import overview
from app.ui.publish import publish
from app.ui.recovery import recovery
from app.ui.reference import reference
from app.ui.rejected import rejected
from app.ui.tail import tail
from app.ui.webhooks import webhooks_ui

SECTIONS: tuple[Blueprint, ...] = (
    overview,
    webhooks_ui,
    logs_ui,
    events_ui,
    rejected,
    recovery,
    tail,
    publish,
    admin,
    admin_keys,
    admin_system,
    account,
    reference,
)


class Entry(NamedTuple):
    """An entry of the menu: its endpoint, its text in English, and whether it is for administrators only."""

    endpoint: str
    text: str
    for_admins: bool = False


MENU = (
    Entry("overview.show", "Overview"),
    Entry("webhooks_ui.list_", "Webhooks"),
    Entry("logs_ui.list_", "Logs"),
    Entry("events_ui.list_", "Events"),
    Entry("recovery.show", "Recovery"),
    Entry("tail.show", "Live tail"),
    Entry("publish.form", "Publish"),
    Entry("admin.users", "Administration", for_admins=True),
)
