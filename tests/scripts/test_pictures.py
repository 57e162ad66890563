"""The pictures in docs/img are those that scripts/screenshots takes, of their sizes, and not too heavy for a page."""

import struct

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not here")

from scripts.pictures import MOST_BYTES, PICTURES, PLACE, Picture

ALL_BYTES = 2_000_000


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.name for picture in PICTURES])
def test_a_picture_is_there_and_light(picture: Picture) -> None:
    data = (PLACE / f"{picture.name}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == picture.size
    assert len(data) < MOST_BYTES


def test_there_are_no_others_and_all_together_are_light() -> None:
    files = list(PLACE.iterdir())
    assert {file.stem for file in files} == {picture.name for picture in PICTURES}
    assert sum(file.stat().st_size for file in files) < ALL_BYTES
