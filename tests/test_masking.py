"""How secrets look in answers and logs."""

import pytest

from app.masking import is_secret_name, mask, mask_headers


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", "****"),
        ("a", "****"),
        ("abcdefg", "****"),
        ("abcdefgh", "****efgh"),
        ("whsec_0123456789", "****6789"),
        ("密码密码密码密码", "****密码密码"),
    ],
)
def test_no_more_than_the_last_four_characters_of_a_long_secret_are_shown(secret: str, shown: str) -> None:
    assert mask(secret) == shown


@pytest.mark.parametrize(
    "name",
    ["Authorization", "PROXY-AUTHORIZATION", "Cookie", "Set-Cookie", "X-TOKEN", "X-Auth-Token", "x-api-key", "Secret"],
)
def test_a_name_that_says_secret_is_known_in_any_case(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret_name(name.swapcase())


@pytest.mark.parametrize("name", ["Content-Type", "X-BKREPO-EVENT", "webhook-id", "webhook-timestamp", "Accept", ""])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_only_secret_values_are_masked_and_the_given_headers_stay() -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer abcdef", "X-Api-Key": "short"}
    given = dict(headers)
    assert mask_headers(headers) == {
        "Content-Type": "application/json",
        "Authorization": "****cdef",
        "X-Api-Key": "****",
    }
    assert headers == given
