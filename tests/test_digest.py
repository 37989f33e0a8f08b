"""A listing of equal bytes is not decoded, unless something is pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from etl import polling, rebuild
from etl.polling import Result
from etl.resources import INSTANCES
from etl.simcloud import Behaviour, Fail, Story
from tests.live import Live, Living, living


@pytest.fixture
def live(fresh_url: Callable[[], str]) -> Iterator[Living]:
    with living(fresh_url) as make:
        yield make


@dataclass
class Reader:
    """Instances, whose decoding is counted."""

    decoded: int = 0
    resource: Any = field(init=False)

    def __post_init__(self) -> None:
        def read(body: bytes) -> Any:
            self.decoded += 1
            return INSTANCES.read(body)

        self.resource = replace(INSTANCES, read=read)

    def answers_read(self, lab: Live, behaviour: Behaviour | None = None) -> int:
        """How many answers one more poll reads: pages, or up to 100 records of them at once."""
        self.decoded = 0
        lab.cloud.passes(minutes=5)
        lab.server.behaviour = behaviour or Behaviour()
        result: Result = polling.sync_one(lab.app, lab.account, self.resource)
        lab.server.behaviour = Behaviour()
        assert result.error is None
        return self.decoded


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def lab(live: Living, reader: Reader) -> Live:
    """25 instances on three pages; the newest poll would be taken for unchanged."""
    made = live(Story())
    made.cloud.rents_many(25)
    assert [reader.answers_read(made) for _ in range(3)] == [1, 0, 0]
    return made


def test_an_unchanged_poll_says_what_the_last_one_said(lab: Live, reader: Reader) -> None:
    before = lab.run()
    assert reader.answers_read(lab) == 0
    after = lab.run()
    for name in ("outcome", "listed", "reported_total", "digest", "added", "changed", "gone"):
        assert after[name] == before[name]
    assert after["started_at"] > before["started_at"]


def test_a_change_is_decoded_once(lab: Live, reader: Reader) -> None:
    lab.cloud.renames("inst_00000000-0000-4000-8000-000000000001", "new")
    assert [reader.answers_read(lab) for _ in range(2)] == [1, 0]


def test_a_partial_poll_ends_it(lab: Live, reader: Reader) -> None:
    reader.answers_read(lab, Behaviour(fail={2: Fail()}))
    assert lab.run()["outcome"] == "partial"
    assert [reader.answers_read(lab) for _ in range(2)] == [1, 0]


def test_a_failed_poll_does_not_end_it(lab: Live, reader: Reader) -> None:
    lab.polls_badly(Behaviour(fail={1: Fail()}))
    assert reader.answers_read(lab) == 0


def test_a_missing_instance_is_awaited_and_gone_by_an_equal_listing(
    lab: Live, reader: Reader
) -> None:
    lab.cloud.destroys("inst_00000000-0000-4000-8000-000000000001")
    # the records that are left are those of the poll before
    assert reader.answers_read(lab) == 0
    assert len(lab.missing()) == 1
    assert reader.answers_read(lab) == 1
    assert (len(lab.missing()), len(lab.gone())) == (0, 1)
    assert reader.answers_read(lab) == 0


@pytest.mark.parametrize("nameless", [False, True])
def test_rejects_are_decoded_until_they_are_mended(
    lab: Live, reader: Reader, nameless: bool
) -> None:
    name = "inst_00000000-0000-4000-8000-000000000001"
    lab.cloud.breaks_record(name, nameless=nameless)
    for _ in range(2):
        assert reader.answers_read(lab) >= 1
        assert lab.run()["rejected"] == 1
    lab.cloud.mends_record(name)
    assert [reader.answers_read(lab) for _ in range(2)] == [1, 0]


def test_another_meaning_of_a_code_is_decoded_once(lab: Live, reader: Reader) -> None:
    rebuild.set_code(lab.database, "status", 77, "running")
    assert [reader.answers_read(lab) for _ in range(2)] == [1, 0]


def test_another_version_of_the_decoding_is_decoded_once(lab: Live, reader: Reader) -> None:
    reader.resource = replace(reader.resource, version=INSTANCES.version + 1)
    assert [reader.answers_read(lab) for _ in range(2)] == [1, 0]


def test_pages_in_another_order_are_the_same_listing(lab: Live, reader: Reader) -> None:
    assert reader.answers_read(lab, Behaviour(stall={2: 0.2})) == 0
