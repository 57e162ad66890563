"""The directory in which processes share their figures: places, taken over and given up."""

from pathlib import Path

import pytest

from app.metrics_files import Slot


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "metrics"


def leave(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_bytes(b"")


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
    leave(directory, "counter_worker-0.db", "gauge_livesum_worker-0.db", "gauge_livesum_web-0.db")
    staying.drop_dead()
    assert files(directory) == {"counter_worker-0.db", "gauge_livesum_worker-0.db", "gauge_livesum_web-0.db"}
    ending._lock.close()  # as the kernel does for a process that was killed
    staying.drop_dead()
    assert files(directory) == {"counter_worker-0.db", "gauge_livesum_web-0.db"}
    taken_over = Slot(directory, "worker")
    assert (taken_over.name, files(directory)) == ("worker-0", {"counter_worker-0.db", "gauge_livesum_web-0.db"})
    for slot in staying, taken_over:
        slot.release()


def test_where_nobody_lives_any_more_all_begins_anew(directory: Path) -> None:
    Slot(directory, "web").release()
    leave(directory, "counter_web-0.db", "histogram_worker-3.db")
    slot = Slot(directory, "worker")
    assert files(directory) == set()
    slot.release()
