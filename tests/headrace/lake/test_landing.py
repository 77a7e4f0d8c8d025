"""Which landing files make the next batch."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.errors import UnreadableInput
from headrace.lake import Lake, Table, append, application_id
from headrace.lake.landing import Landing, batch_id, look, register
from headrace.lake.lines import inspect

NOW = datetime(2014, 1, 1, tzinfo=UTC)
NOBODY = 65534


class Feed:
    """A landing folder of the source `weather`, and its lake."""

    def __init__(self, folder: Path, lake: Lake) -> None:
        self.folder, self.lake = folder / "weather", lake
        self.folder.mkdir()

    def deliver(self, name: str, content: str, *, age_s: float = 60) -> Path:
        path = self.folder / name
        path.write_text(content)
        moment = time.time() - age_s
        os.utime(path, (moment, moment))
        return path

    def look(self) -> Landing:
        return look(self.lake, "weather", f"{self.folder}/*.csv", inspect=inspect)

    def publish(self, batch: str) -> None:
        append(
            self.lake.silver("weather"),
            pa.table({"k": [1]}),
            unit=application_id("weather", "check", batch),
        )

    def publish_pending(self) -> list[str]:
        landing = self.look()
        register(self.lake, "weather", landing, seen_at=NOW)
        for batch in landing.pending:
            self.publish(batch.id)
        return [batch.id for batch in landing.pending]


@pytest.fixture
def feed(tmp_path: Path, lake: Lake) -> Feed:
    return Feed(tmp_path, lake)


def test_all_files_found_make_one_batch(feed: Feed):
    feed.deliver("b.csv", "k\n2\n")
    feed.deliver("a.csv", "k\n1\n")
    (batch,) = feed.look().pending
    assert [file.name for file in batch.files] == ["weather/a.csv", "weather/b.csv"]
    assert not batch.registered


def test_the_same_content_under_other_names_is_the_same_batch(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    before = feed.look().pending[0].id
    (feed.folder / "a.csv").rename(feed.folder / "z.csv")
    assert feed.look().pending[0].id == before == batch_id(feed.look().pending[0].files)


def test_a_published_batch_is_not_pending(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    feed.publish_pending()
    landing = feed.look()
    assert (landing.pending, landing.published) == ((), 1)


def test_what_the_table_of_files_holds_is_read_once(feed: Feed, monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    arrow = Table.arrow

    def counted(table: Table, *args, **kwargs):
        read.extend(file.path for file in kwargs["files"])
        return arrow(table, *args, **kwargs)

    for day in (1, 2, 3):
        feed.deliver(f"{day}.csv", f"k\n{day}\n")
        feed.publish_pending()
        monkeypatch.setattr(Table, "arrow", counted)
        assert feed.look().published == day
        monkeypatch.undo()
    assert len(read) == len(set(read)) == 3
    for remembered in feed.lake.cache.rglob("*.json"):
        remembered.unlink()  # it may go at any time
    assert (feed.look().published, feed.look().pending) == (3, ())


def test_a_copy_and_a_touched_file_are_published_already(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    feed.publish_pending()
    feed.deliver("copy.csv", "k\n1\n")
    feed.deliver("a.csv", "k\n1\n", age_s=30)
    assert feed.look().pending == ()


def test_the_same_bytes_twice_in_a_batch_count_once(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    feed.deliver("copy.csv", "k\n1\n")
    (batch,) = feed.look().pending
    assert [file.name for file in batch.files] == ["weather/a.csv"]


def test_a_batch_that_was_not_published_stays_as_it_was_beside_new_files(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    register(feed.lake, "weather", feed.look(), seen_at=NOW)
    feed.deliver("b.csv", "k\n2\n")
    old, new = feed.look().pending
    assert ([f.name for f in old.files], old.registered) == (["weather/a.csv"], True)
    assert ([f.name for f in new.files], new.registered) == (["weather/b.csv"], False)


def test_a_corrected_file_withdraws_its_unpublished_batch(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    feed.deliver("b.csv", "k\n2\n")
    register(feed.lake, "weather", feed.look(), seen_at=NOW)
    feed.deliver("a.csv", "k\n9\n")
    (batch,) = feed.look().pending
    assert [file.name for file in batch.files] == ["weather/a.csv", "weather/b.csv"]
    assert not batch.registered


def test_registering_again_adds_no_row(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    landing = feed.look()
    register(feed.lake, "weather", landing, seen_at=NOW)
    register(feed.lake, "weather", landing, seen_at=NOW)
    assert len(feed.look().pending) == 1


def test_an_unreadable_file_is_set_aside_once_and_others_go_on(feed: Feed):
    feed.deliver("a.csv", "k\n1\n")
    feed.deliver("empty.csv", "")
    landing = feed.look()
    assert [file.name for file in landing.new_problems] == ["weather/empty.csv"]
    assert [file.name for file in landing.pending[0].files] == ["weather/a.csv"]
    register(feed.lake, "weather", landing, seen_at=NOW)
    again = feed.look()
    assert (len(again.set_aside), again.new_problems) == (1, ())


def test_a_growing_file_waits_for_the_next_run(feed: Feed):
    path = feed.deliver("a.csv", "k\n1\n", age_s=0)
    feed.deliver("b.csv", "k\n2\n")
    timer = threading.Timer(0.5, lambda: path.write_text("k\n1\n2\n"))
    timer.start()
    landing = feed.look()
    timer.join()
    assert landing.growing == ("weather/a.csv",)
    assert [file.name for file in landing.pending[0].files] == ["weather/b.csv"]


def test_a_done_file_beside_it_saves_the_wait(feed: Feed):
    path = feed.deliver("a.csv", "k\n1\n", age_s=0)
    path.with_name("a.csv.done").touch()
    started = time.monotonic()
    assert len(feed.look().pending) == 1
    assert time.monotonic() - started < 1


def test_no_folder_and_no_file_say_so(feed: Feed, tmp_path: Path):
    with pytest.raises(UnreadableInput, match=r"no landing file matches \(source weather"):
        feed.look()
    with pytest.raises(UnreadableInput, match="no landing folder"):
        look(feed.lake, "weather", f"{tmp_path}/nowhere/*.csv", inspect=inspect)


def test_unpublished_batches_keep_the_order_in_which_they_came(feed: Feed):
    for number in range(5):
        feed.deliver(f"{9 - number}.csv", f"k\n{number}\n")
        register(feed.lake, "weather", feed.look(), seen_at=NOW + timedelta(days=number))
    names = [batch.files[0].name for batch in feed.look().pending]
    assert names == [f"weather/{9 - number}.csv" for number in range(5)]


def test_a_symbolic_link_is_set_aside(feed: Feed, tmp_path: Path):
    (tmp_path / "secret").write_text("k\n1\n")
    (feed.folder / "a.csv").symlink_to(tmp_path / "secret")
    landing = feed.look()
    assert landing.pending == ()
    assert "symbolic link" in str(landing.set_aside[0].problem)


def test_a_file_behind_a_folder_that_is_a_link_is_set_aside(feed: Feed, tmp_path: Path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "secret.csv").write_text("k\n1\n")
    (feed.folder / "linked").symlink_to(tmp_path / "elsewhere")
    feed.deliver("a.csv", "k\n1\n")
    landing = look(
        feed.lake, "weather", f"{feed.folder}/**/*.csv", inspect=partial(inspect, delimiter=",")
    )
    assert [file.name for file in landing.pending[0].files] == ["weather/a.csv"]
    assert [file.name for file in landing.set_aside] == ["weather/linked/deep/secret.csv"]


def test_a_landing_folder_may_itself_be_a_link(feed: Feed, tmp_path: Path):
    feed.deliver("a.csv", "k\n1\n")
    (tmp_path / "mount").symlink_to(feed.folder)
    landing = look(feed.lake, "weather", f"{tmp_path}/mount/*.csv", inspect=inspect)
    assert [file.name for file in landing.pending[0].files] == ["mount/a.csv"]


def test_a_file_that_this_user_may_not_read_is_set_aside_until_he_may():
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        feed = Feed(Path(name), Lake(Path(name) / "lake"))
        path = feed.deliver("a.csv", "k\n1\n")
        path.chmod(0)
        feed.deliver("b.csv", "k\n2\n")
        if os.geteuid() == 0:  # who may read everything
            os.seteuid(NOBODY)
            stack.callback(os.seteuid, 0)
        landing = feed.look()
        assert [(file.name, file.problem) for file in landing.set_aside] == [
            ("weather/a.csv", "Permission denied")
        ]
        assert [file.name for file in landing.pending[0].files] == ["weather/b.csv"]
        stack.close()
        path.chmod(0o644)
        assert feed.look().set_aside == ()


def test_a_file_whose_name_is_not_utf8_is_set_aside_by_a_readable_name(feed: Feed):
    path = Path(os.fsdecode(os.fsencode(feed.folder) + b"/caf\xe9.csv"))
    path.write_text("k\n1\n")
    os.utime(path, (time.time() - 60,) * 2)
    feed.deliver("a.csv", "k\n2\n")
    landing = feed.look()
    (aside,) = landing.set_aside
    assert (aside.name, aside.problem) == (
        "weather/caf\\udce9.csv",
        "its path is not UTF-8: give it another name",
    )
    register(feed.lake, "weather", landing, seen_at=NOW)
    assert [len(batch.files) for batch in feed.look().pending] == [1]
