"""The directory in which processes share their figures: places, taken over and given up."""

from pathlib import Path

import pytest

from app.metrics_files import RESERVED, Slot


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "metrics"


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.db")}


def test_each_process_has_a_place_of_its_own_and_who_comes_next_takes_the_free_one(directory: Path) -> None:
    first, second, other = Slot(directory, "worker"), Slot(directory, "worker"), Slot(directory, "web")
    assert [first.name, second.name, other.name] == ["worker-0", "worker-1", "web-0"]
    first.release()
    third = Slot(directory, "worker")
    assert third.name == "worker-0"
    for slot in second, other, third:
        slot.release()


def test_counters_of_a_place_outlast_its_process_and_its_present_does_not(directory: Path) -> None:
    staying, ending = Slot(directory, "web"), Slot(directory, "worker")
    web = {"counter_web-0.db", "gauge_livesum_web-0.db", "histogram_web-0.db"}
    worker = {"counter_worker-0.db", "gauge_livesum_worker-0.db", "histogram_worker-0.db"}
    (directory / "counter_worker-0.db").write_bytes(b"counted")
    staying.drop_dead()
    assert files(directory) == web | worker
    ending._lock.close()  # as the kernel does for a process that was killed
    staying.drop_dead()
    assert files(directory) == web | worker - {"gauge_livesum_worker-0.db"}
    taken_over = Slot(directory, "worker")
    assert taken_over.name == "worker-0"
    assert (directory / "counter_worker-0.db").read_bytes().startswith(b"counted")
    for slot in staying, taken_over:
        slot.release()


def test_the_disk_keeps_room_for_what_will_be_counted(directory: Path) -> None:
    slot = Slot(directory, "web")
    assert all((directory / name).stat().st_blocks * 512 >= RESERVED for name in files(directory))
    slot.release()


def test_where_nobody_lives_any_more_all_begins_anew(directory: Path) -> None:
    Slot(directory, "web").release()
    for name in "counter_web-0.db", "histogram_worker-3.db":
        (directory / name).write_bytes(b"counted")
    slot = Slot(directory, "worker")
    assert files(directory) == {"counter_worker-0.db", "gauge_livesum_worker-0.db", "histogram_worker-0.db"}
    slot.release()
