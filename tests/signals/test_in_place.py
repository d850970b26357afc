"""An exchange that was asked for in place of another is needed for the comparison, whether or not it was spoken of."""

from __future__ import annotations

from loopwise.config import SignalSettings
from loopwise.signals import about, weigh
from loopwise.store import Store
from town import exchange, marks, record, said


def test_an_exchange_asked_for_in_place_of_another_is_there_though_nothing_was_said_of_it(store: Store):
    again = said("again", "regenerate", True, metadata={"by": "f"})
    record(store, [exchange("e", at=1.0), again, exchange("f", at=3.0), exchange("g", at=4.0)])
    reach = marks(store)

    with store.reading() as conn:
        found = [
            (given.id, [signal.instead for signal in signals])
            for _, given, signals in about(conn, reach, weigh(conn, reach, SignalSettings()))
        ]

    assert found == [("e", ["f"]), ("f", [])]
