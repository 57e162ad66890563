"""Settings for people: every one of them, and no secret."""

import dataclasses
from pathlib import Path

import pytest

from app.services import Services
from app.settings_view import FORMS, duration, masked_url, settings_in_force
from app.versions import components, database_product
from config.settings import Settings, load_settings
from scripts import backends
from tests.certificates import authority
from tests.conftest import SECRET_KEY
from tests.redis_server import redis_broker
from tests.test_example_env import COMMAND_VARIABLES, example

SECRETS = ("pa55word", SECRET_KEY)


def test_every_setting_has_its_variable_and_none_is_missing() -> None:
    assert list(FORMS) == [field.name for field in dataclasses.fields(Settings)]
    assert {variable for variable, _ in FORMS.values()} == set(example()) - COMMAND_VARIABLES


def test_with_nothing_given_all_are_defaults_in_the_form_that_the_variables_take() -> None:
    shown = {each.variable: each for each in settings_in_force(load_settings({}))}
    assert all(each.is_default for each in shown.values())
    values = {variable: each.value for variable, each in shown.items()}
    assert values["HOOKLINE_DATA"] == str(Path("var").absolute())
    assert (values["DATABASE_URL"], values["REDIS_URL"]) == ("sqlite:///var/hookline.db", "")
    assert values["RETRY_SCHEDULE"] == "5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 1d"
    assert (values["REQUEST_TIMEOUT"], values["DISABLE_AFTER"], values["RETRY_JITTER"]) == ("10s", "5d", "0.2")
    again = load_settings(example() | {name: values[name] for name in ("RETRY_SCHEDULE", "DISABLE_AFTER")})
    assert again == load_settings({})


def test_what_is_given_is_told_from_defaults_and_secrets_are_masked(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(authority("An authority").pem * 5)
    given = {
        "HOOKLINE_DATA": "elsewhere",
        "DATABASE_URL": "postgresql://hook:pa55word@db.example:5432/name?sslmode=require&sslpassword=pa55word",
        "REDIS_URL": "redis+sentinel://:pa55word@a:1,b:2/main/0?sentinel_password=pa55word",
        "HOOKLINE_SECRET_KEY": f"{SECRET_KEY},{SECRET_KEY}",
        "HOOKLINE_ADMIN_PASSWORD": "pa55word",
        "OUTBOUND_PROXY": "http://user:pa55word@proxy.example:3128",
        "CA_BUNDLE": str(bundle),
        "ALLOW_NETWORKS": "10.0.0.0/8 ::1/128",
        "EXTRA_EVENT_TYPES": "B,A",
        "PORT": "8080",
    }
    lines = settings_in_force(load_settings(given))
    shown = {each.variable: each.value for each in lines}
    assert not any(secret in value for value in shown.values() for secret in SECRETS)
    assert {each.variable for each in lines if not each.is_default} == set(given) - {"PORT"}
    assert shown["DATABASE_URL"] == "postgresql://hook:****@db.example:5432/name?sslmode=require&sslpassword=****"
    assert shown["REDIS_URL"] == "redis+sentinel://:****@a:1,b:2/main/0?sentinel_password=****"
    assert (shown["HOOKLINE_SECRET_KEY"], shown["HOOKLINE_ADMIN_PASSWORD"]) == ("****, ****", "****")
    assert shown["OUTBOUND_PROXY"] == "http://user:****@proxy.example:3128"
    assert shown["CA_BUNDLE"].endswith("; +2")
    assert (shown["ALLOW_NETWORKS"], shown["EXTRA_EVENT_TYPES"]) == ("10.0.0.0/8, ::1/128", "A, B")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pa55word@h:1/0", "redis://:****@h:1/0"),
        ("mysql://u:pa55/wo@rd:x@h/name", "mysql://u:****@h/name"),
        ("mysql://u:pa55word@h/name?ssl_ca=/etc/ca.pem", "mysql://u:****@h/name?ssl_ca=/etc/ca.pem"),
        ("mysql://u:pa55word?#@h/name", "mysql://u:****@h/name"),
        ("postgresql://u@h/name", "postgresql://u@h/name"),
        ("postgresql://h/name?user=u&password=pa55word", "postgresql://h/name?user=u&password=****"),
        ("unix://u:pa55word@/run/redis.sock?db=1", "unix://u:****@/run/redis.sock?db=1"),
        ("sqlite:////var/lib/hookline.db", "sqlite:////var/lib/hookline.db"),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0d"), (1, "1ms"), (1_500, "1500ms"), (90_000, "90s"), (86_400_000, "1d")]
)
def test_durations_have_the_largest_unit_that_fits(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_versions_name_what_matters(services: Services) -> None:
    found = dict(components())
    assert {"Hookline", "Python", "dramatiq", "libcurl"} <= set(found)
    assert all(found.values())
    kinds = {"sqlite": "SQLite 3.", "postgresql": "PostgreSQL 1", "mysql": "MariaDB 1"}
    assert database_product().startswith(kinds[services.settings.database_url.partition(":")[0]])
    assert services.broker.product() is None


def test_the_version_of_redis_is_told(redis_here: backends.Running) -> None:
    with redis_broker(redis_here.url) as broker:
        assert broker.product().split()[0] in ("Redis", "Valkey")
