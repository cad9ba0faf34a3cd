"""Files into the ledger exactly once: known by content, grown, rewritten, followed."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from ledger.home import Home
from ledger.submit import Answer
from streams import files, spool, watching
from streams.decode import FormatError
from streams.watching import CannotRead
from tests.ledgers import ARRIVED, a_call, a_home, calls, commands


def _now() -> datetime:
    return ARRIVED


def _rated(home: Home) -> int:
    return sum(outcome == "rated" for outcome in home.calls.read_since(0, ["outcome"]).column(0).to_pylist())


def test_naming_a_file_twice_adds_nothing_twice(tmp_path: Path) -> None:
    """R-INV-1: not even duplicate rows, for the file is known by its content."""
    home, file = a_home(tmp_path / "home"), tmp_path / "a.jsonl"
    file.write_bytes(calls(0, 50))
    assert spool.ingest(home, file, "auto", _now).counts["rated"] == 50
    again = spool.ingest(home, file, "auto", _now)
    assert (again.records, again.known_files, home.calls.next_seq) == (0, 1, 50)


def test_a_copy_under_another_name_is_the_same_file(tmp_path: Path) -> None:
    """R-INV-1: neither name, inode nor date count."""
    home = a_home(tmp_path / "home")
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(calls(0, 20))
        spool.ingest(home, tmp_path / name, "jsonl", _now)
    assert home.calls.next_seq == 20


def test_a_file_that_grew_goes_on_where_it_ended(tmp_path: Path) -> None:
    """R-INV-1."""
    home, file = a_home(tmp_path / "home"), tmp_path / "a.jsonl"
    file.write_bytes(calls(0, 20))
    spool.ingest(home, file, "jsonl", _now)
    file.write_bytes(calls(0, 35))
    assert spool.ingest(home, file, "jsonl", _now).counts["rated"] == 15
    assert home.calls.next_seq == 35


def test_a_file_that_was_rewritten_is_new(tmp_path: Path) -> None:
    """F-10: its old calls are met by their ids, the new one is charged."""
    home, file = a_home(tmp_path / "home"), tmp_path / "a.jsonl"
    file.write_bytes(calls(0, 20))
    spool.ingest(home, file, "jsonl", _now)
    file.write_bytes(a_call(99) + calls(0, 20))
    counts = spool.ingest(home, file, "jsonl", _now).counts
    assert (counts["rated"], counts["DUPLICATE"]) == (1, 20)


def test_a_fresh_process_knows_the_files_too(tmp_path: Path) -> None:
    """F-16: the offset is in the ledger, nowhere else."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(calls(0, 20))
    spool.ingest(a_home(tmp_path / "home"), file, "jsonl", _now)
    assert spool.ingest(Home.open(tmp_path / "home"), file, "jsonl", _now).records == 0


def test_a_folder_is_read_file_by_file_and_a_bad_one_costs_only_itself(tmp_path: Path) -> None:
    home, folder = a_home(tmp_path / "home"), tmp_path / "in"
    folder.mkdir()
    (folder / "1.jsonl").write_bytes(calls(0, 5))
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (folder / "3.jsonl").write_bytes(calls(5, 9))
    (folder / ".4.jsonl.tmp").write_bytes(calls(9, 12))
    (folder / "5.empty").touch()
    taken = spool.ingest(home, folder, "auto", _now)
    assert taken.counts["rated"] == 9
    assert len(taken.unread) == 1
    assert "2.png" in taken.unread[0]


def test_an_absent_file_is_a_clear_sentence(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    with pytest.raises(CannotRead, match="There is no file"):
        spool.ingest(home, tmp_path / "nothing", "auto", _now)


def test_commands_of_a_file_are_sent_once(tmp_path: Path) -> None:
    """R-INV-1: a file of commands that grew sends its new lines only."""
    from rating import price_book
    from tests.ledgers import OPENED

    home = Home.create(tmp_path / "home", price_book.default_text(), "default.toml", OPENED)
    file, answers = tmp_path / "c.jsonl", list[Answer]()
    lines = commands()
    file.write_bytes(b"\n".join(lines[:5]) + b"\n\n")
    assert spool.submit_file(home, file, _now, answers.append) == 5
    file.write_bytes(b"\n".join(lines[:5]) + b"\n\n" + b"\n".join(lines[5:]))
    assert spool.submit_file(home, file, _now, answers.append) == 3
    assert spool.submit_file(home, file, _now, answers.append) == 0
    assert [answer.outcome for answer in answers] == ["accepted"] * 8


def test_a_followed_folder_takes_new_files_and_what_is_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-CALL-7: a growing file is read up to its last whole line; files appear by rename."""
    monkeypatch.setattr(watching, "OPEN_S", 0.6)
    home, folder = a_home(tmp_path / "home"), tmp_path / "in"
    folder.mkdir()
    done = threading.Event()

    def write() -> None:
        growing = folder / "growing.jsonl"
        growing.write_bytes(calls(0, 3) + a_call(3)[:40])
        time.sleep(0.5)
        with growing.open("ab") as file:
            file.write(a_call(3)[40:] + a_call(4).rstrip())
        (tmp_path / "late").write_bytes(calls(5, 8))
        (tmp_path / "late").rename(folder / "late.jsonl")
        time.sleep(2.0)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    taken = spool.follow(home, folder, "jsonl", _now, done.is_set, poll_s=0.05)
    writer.join()
    assert (taken.counts["rated"], taken.counts["rejected"]) == (8, 0)
    assert _rated(home) == 8


def test_a_file_of_a_folder_that_cannot_be_read_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    """R-INV-1: nothing is passed over in silence."""
    home, folder, said = a_home(tmp_path / "home"), tmp_path / "spool", list[str]()
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"\0\1 no records\n")
    (folder / "b.jsonl").write_bytes(calls(0, 5))
    taken = spool.ingest(home, folder, "auto", _now, heard=said.append)
    assert (taken.counts["rated"], taken.unread) == (5, said)
    assert [sentence.split(": ")[0] for sentence in said] == [str(folder / "a.bin")]


def test_following_with_a_format_that_is_none_ends_at_once(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    with pytest.raises(FormatError, match='no format "nosuch"'):
        spool.follow(home, tmp_path, "nosuch", _now, lambda: False)


def test_a_followed_file_is_not_digested_anew_at_each_look(tmp_path: Path) -> None:
    """F-10: only its ends are compared, until it is rewritten: then all of it is, and its old calls are met."""
    home, file, places = a_home(tmp_path / "home"), tmp_path / "a.jsonl", files.Places()

    def look() -> files.Place | None:
        with file.open("rb") as stream:
            known = places.known(home.calls, file, stream, file.stat().st_size)
            found = files.find(home.calls, stream, file.stat().st_size)
            places.keep(file, stream, found)
        assert known is None or (known.file_id, known.offset, known.digest.hex()) == (
            found.file_id, found.offset, found.digest.hex())  # fmt: skip
        return known

    file.write_bytes(calls(0, 1000))
    spool.ingest(home, file, "jsonl", _now)
    assert look() is None
    with file.open("ab") as more:
        more.write(calls(1000, 1100))
    assert look() is not None
    spool.ingest(home, file, "jsonl", _now)
    assert look() is None  # the ledger has more of it than was kept
    assert look() is not None
    with file.open("r+b") as rewritten:
        rewritten.write(a_call(5000))
    assert look() is None
    file.write_bytes(calls(0, 1))
    assert look() is None
