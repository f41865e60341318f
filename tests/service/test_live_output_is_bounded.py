"""Live output is remembered for those who join late, within bounds: an agent that talks without end costs nobody memory."""

from bailiwick.base import Instant
from bailiwick.ports import Frame
from bailiwick.service.core.streams import RING, RING_CHARACTERS, Streams


def frame(text: str) -> Frame:
    return Frame("run_1", "work", 1, "", Instant(1), {"type": "text", "text": text})


def joined(streams: Streams) -> list[str]:
    return [each["text"] for each in streams.watch("run_1").take()]


def test_a_late_reader_gets_the_newest_frames() -> None:
    streams = Streams()
    streams.frames(frame(str(n)) for n in range(RING + 3))
    assert joined(streams) == [str(n) for n in range(3, RING + 3)]


def test_large_frames_make_older_ones_go_and_the_reader_is_told_how_many() -> None:
    streams = Streams()
    watcher = streams.watch("run_1")
    quarter = "x" * (RING_CHARACTERS // 4)
    streams.frames(frame(quarter) for _ in range(10))
    assert len(joined(streams)) == 3  # the names beside the text count, too
    assert (len(watcher.take()), watcher.dropped) == (3, 7)
    streams.frames([frame("small")])
    assert [each["text"] for each in watcher.take()] == ["small"]


def test_a_frame_that_is_too_large_alone_is_dropped_and_counted() -> None:
    streams = Streams()
    watcher = streams.watch("run_1")
    streams.frames([frame("before"), frame("x" * (RING_CHARACTERS + 1)), frame("after")])
    assert [each["text"] for each in watcher.take()] == ["before", "after"]
    assert watcher.dropped == 1
    assert joined(streams) == ["before", "after"]
