"""Writers come one after the other, so that a watermark loses nothing; and what is read streams."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

from loopwise.store import Store, exchanges, feedback
from loopwise.types import Exchange, Feedback

ROW = Exchange("", 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {}, None, 200, 0.1)


def test_a_seq_is_never_committed_after_a_higher_one(store: Store, store_url: str, tmp_path: Path):
    other = Store(store_url, tmp_path)
    began, entered, seen = Event(), Event(), []

    def write_too() -> None:
        began.set()
        with other.writing() as conn:
            entered.set()
            seen.append(exchanges.watermark(conn))
            exchanges.add(conn, [replace(ROW, id="second")])

    thread = Thread(target=write_too)
    with store.writing() as conn:
        exchanges.add(conn, [replace(ROW, id="first")])
        thread.start()
        began.wait()
        # Were the second not made to wait, it could commit its higher seq now, and a watermark would skip the first.
        assert not entered.wait(0.3)
        with store.reading() as reader:
            assert exchanges.watermark(reader) == 0
    thread.join()
    assert seen == [1]
    with store.reading() as conn:
        assert [(seq, row.id) for seq, row in exchanges.up_to(conn, exchanges.watermark(conn))] == [
            (1, "first"),
            (2, "second"),
        ]
    other.close()


def test_many_writers_never_show_a_gap(store: Store, store_url: str, tmp_path: Path):
    """A reader that always takes the watermark meets every row below it at once, none later."""
    stores = [Store(store_url, tmp_path) for _ in range(3)]

    def write(worker: int) -> None:
        for n in range(40):
            with stores[worker].writing() as conn:
                feedback.add(conn, [Feedback(f"{worker}-{n}", 1.0, "thumbs", 1)])

    threads = [Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    mark, met = 0, []
    while len(met) < 120:
        with store.reading() as conn:
            now = feedback.watermark(conn)
            met += [row.id for seq, row in feedback.up_to(conn, now) if seq > mark]
        mark = now
    for thread in threads:
        thread.join()
    assert len(set(met)) == 120
    for opened in stores:
        opened.close()


def test_what_is_read_streams_past_and_is_not_held(store: Store):
    size = 100_000
    for first in range(0, 1_000, 100):
        with store.writing() as conn:
            exchanges.add(
                conn, [replace(ROW, id=f"e{n}", request={"t": "x" * size}) for n in range(first, first + 100)]
            )
    before = resident()
    with store.reading() as conn:
        rows = exchanges.up_to(conn, 1_000)
        assert sum(len(row.request["t"]) for _, row in (next(rows) for _ in range(900))) == 900 * size
        assert resident() - before < 60e6  # of 100 MB; 200 rows at a time are 20 MB, here and in the driver


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
