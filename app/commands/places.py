"""Options that name a project or a repository."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

C = TypeVar("C", bound="Callable[..., Any] | click.Command")


class Place(NamedTuple):
    """A project, or with `repo` one repository of it."""

    project: str
    repo: str | None

    @property
    def association(self) -> dict[str, str]:
        """The association of a webhook for this place."""
        kind, name = ("PROJECT", self.project) if self.repo is None else ("REPO", f"{self.project}:{self.repo}")
        return {"association_type": kind, "association_id": name}


def place_options(command: C) -> C:
    """Give `command` the options --project and --repo; `place_of` takes their values."""
    command = click.option("--repo", metavar="[PROJECT:]REPO", help="A repository of the project.")(command)
    return click.option("--project", metavar="PROJECT", help="A project.")(command)


def place_of(project: str | None, repo: str | None) -> Place | None:
    """Return the place that is meant, None for none. Raises UsageError."""
    if repo is None:
        return None if project is None else Place(project, None)
    left, colon, right = repo.rpartition(":")
    if colon and project not in {None, left}:
        raise click.UsageError("--repo names another project than --project.")
    named = left if colon else project
    if not named or not right:
        raise click.UsageError("Give --repo PROJECT:REPO, or --project PROJECT --repo REPO.")
    return Place(named, right)


def association_of(system: bool, project: str | None, repo: str | None) -> dict[str, str]:
    """Return the fields of a webhook that say what it is for; none where no option does. Raises UsageError."""
    place = place_of(project, repo)
    if system and place:
        raise click.UsageError("--system goes with neither --project nor --repo.")
    if place:
        return place.association
    return {"association_type": "SYSTEM", "association_id": ""} if system else {}
