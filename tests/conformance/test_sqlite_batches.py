"""Only SQLite: what the stepped writer makes of a batch, and of a disk that fails."""

from pathlib import Path

import apsw
import msgspec
from conformance_shapes import (
    claim,
    draft,
    finish,
    following,
    head,
    opening,
    posting,
    submission,
    task,
)

from bailiwick.ports import Draft, Fenced, MoveTask, StaleVersion, TaskState, Unit
from bailiwick.stores import (
    StoreBroken,
    StoreFull,
)
from bailiwick.stores.sealing import Job
from bailiwick.stores.sqlite import Writer
from bailiwick.stores.sqlite.connect import open_writer
from bailiwick.stores.sqlite.migrate import migrate
from bailiwick.stores.sqlite.statements import SQL


def count(writer: Writer, table: str) -> int:
    return int(writer._connection.execute(f"SELECT count(*) FROM {table}").get)


def test_a_batch_is_one_commit_and_its_rows_are_counted(writer: Writer) -> None:
    writer.step(
        [Job(opening(f"run_{n}", head=head(f"run_{n}"), new_tasks=(task(f"tsk_{n}"),))) for n in range(3)]
    )
    assert (writer.commits, writer.units) == (1, 3)
    before = writer.rows
    leased = claim(task("tsk_0"))
    writer.step([Job(Unit("acme", moved_tasks=(leased,)))])
    assert (writer.commits, writer.rows - before) == (2, 1)
    step = Unit(
        "acme",
        "run_0",
        1,
        (draft("step-succeeded", {"out": 1}),),
        head=head("run_0", version=2),
        moved_tasks=(finish(leased.task),),
        postings=(posting("pst_1", run="run_0"),),
    )
    before = writer.rows
    assert writer.step([Job(step)]) == [None]
    assert (writer.commits, writer.rows - before) == (3, 5)


def test_refusals_and_chores_count_neither_commits_nor_rows(writer: Writer) -> None:
    outcomes = writer.step(
        [Job(following("run_none", 3)), Job(Unit("acme", moved_tasks=(claim(task("x")),)))]
    )
    assert [type(outcome) for outcome in outcomes] == [StaleVersion, Fenced]
    assert writer.step([lambda connection: connection.changes()]) == [0]
    assert (writer.commits, writer.rows, writer.units, writer.fenced) == (0, 0, 0, 1)


def test_a_fenced_unit_in_a_batch_fails_alone_and_later_units_of_its_run_see_it(writer: Writer) -> None:
    batch = [
        Job(opening("run_a")),
        Job(following("run_b", 0, moved_tasks=(claim(task("none")),))),
        Job(following("run_b", 1)),
        Job(following("run_a", 1)),
        Job(opening("run_b", submission=submission("k"))),
        Job(opening("run_c", submission=submission("k"))),
        Job(following("run_b", 1)),
    ]
    outcomes = writer.step(batch)
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["NoneType", "Fenced", "StaleVersion", "NoneType", "NoneType", "GuardFailed", "NoneType"]
    assert writer.redone == 1
    assert count(writer, "events") == 4
    assert writer._connection.execute("SELECT min(pos), max(pos) FROM events").get == (1, 4)
    assert writer.step([Job(following("run_b", 2)), Job(following("run_a", 2))]) == [None, None]
    assert count(writer, "streams") == 2


def test_of_an_end_and_a_move_in_one_batch_the_first_one_wins(writer: Writer) -> None:
    leased = claim(task("tsk_1"))
    same_hold = MoveTask(TaskState.LEASED, 1, msgspec.structs.replace(leased.task, timeout_at=9))
    writer.step([Job(Unit("acme", new_tasks=(task("tsk_1"),), moved_tasks=(leased,)))])
    ending, moving = Unit("acme", moved_tasks=(finish(leased.task),)), Unit("acme", moved_tasks=(same_hold,))
    outcomes = writer.step([Job(ending), Job(moving)])
    assert [type(outcome) for outcome in outcomes] == [type(None), Fenced]
    assert count(writer, "tasks") == 0


def test_a_feed_with_nothing_to_place_writes_nothing(writer: Writer) -> None:
    writer.step([Job(opening("run_a"))])

    def place(connection: apsw.Connection) -> int:
        before = connection.total_changes()
        connection.execute(SQL["place_feed"], (9,))
        return connection.total_changes() - before

    assert writer.step([place, place]) == [1, 0]


def test_a_chore_that_refuses_undoes_itself_alone(writer: Writer) -> None:
    def refuse(connection: apsw.Connection) -> None:
        connection.execute(SQL["insert_session"], ("ses_1", "w", 1))
        raise StaleVersion(run="x", expected=1, actual=2)

    outcomes = writer.step([Job(opening("run_a")), refuse, Job(opening("run_b"))])
    assert [type(outcome) for outcome in outcomes] == [type(None), StaleVersion, type(None)]
    assert (count(writer, "sessions"), count(writer, "events")) == (0, 2)


def test_forgotten_heads_are_found_again(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "small.db", lambda: 0)
    migrate(connection)
    writer = Writer(connection)
    writer._sealer._heads_kept = 2
    assert writer.step([Job(opening(f"run_{n}")) for n in range(20)]) == [None] * 20
    assert len(writer._sealer._heads) == 2
    assert writer.step([Job(following(f"run_{n}", 1)) for n in range(20)]) == [None] * 20
    assert type(writer.step([Job(following("run_3", 1))])[0]) is StaleVersion
    writer.close()


def test_the_log_is_folded_into_the_database_between_batches(writer: Writer, tmp_path: Path) -> None:
    size = (tmp_path / "x.db").stat().st_size
    for n in range(40):
        writer.step([Job(opening(f"run_{n}_{k}", events=3)) for k in range(200)])
        writer.tend()
    assert (tmp_path / "x.db").stat().st_size > size * 10
    assert (tmp_path / "x.db-wal").stat().st_size < 2_200 * 8_192


def test_a_full_disk_refuses_writes_and_is_written_again_once_there_is_room(writer: Writer) -> None:
    writer.step([Job(opening("run_a"))])
    pages = writer._connection.execute("PRAGMA page_count").get
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Draft({"kind": "big"}, b"1" * 16_000, bytes(16))
    refused = writer.step([Job(Unit("acme", f"run_{n}", 0, (big,) * 9)) for n in range(9)])
    assert {type(outcome) for outcome in refused} == {StoreFull}
    writer._connection.execute("PRAGMA max_page_count = 1000000")
    assert writer.step([Job(Unit("acme", "run_1", 0, (big,))), Job(following("run_a", 1))]) == [None, None]
    assert count(writer, "events") == 3


class FailingDisk(apsw.VFS):
    """A disk whose syncs begin to fail when told so."""

    def __init__(self) -> None:
        self.failing = False
        super().__init__("failing", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.failing:
            raise apsw.IOError("injected")
        super().xSync(flags)


def test_after_a_failed_sync_nothing_is_acknowledged_any_more(tmp_path: Path) -> None:
    disk = FailingDisk()
    connection = apsw.Connection(str(tmp_path / "x.db"), vfs="failing")
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    connection.create_scalar_function("now_us", lambda *_: 0, 0)
    migrate(connection)
    writer = Writer(connection)
    assert writer.step([Job(opening("run_a"))]) == [None]
    disk.failing = True
    outcomes = writer.step([Job(following("run_a", 1)), Job(opening("run_b"))])
    disk.failing = False
    outcomes += writer.step([Job(opening("run_c"))])
    assert [type(outcome) for outcome in outcomes] == [StoreBroken] * 3
    writer.close()
    disk.unregister()
