"""Members over a real broker: each once, whatever is killed, and none without the key of before."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bike_assets.ingest.kafka import read_to_end
from bike_assets.ingest.members.polling import MembersPoll, Polled
from bike_assets.ingest.members.taking import Taken, take_page
from bike_assets.ingest.members.writer import MembersWriter
from bike_assets.local.broker import LocalBroker, ensure_topics
from bike_assets.local.jars import Jars
from bike_assets.local.ports import free_ports
from bike_assets.model.errors import FeedMalformed, Fenced, WrongSettings
from bike_assets.model.personal import Keyed
from bike_assets.model.topics import MEMBERS_STATE, REJECTIONS, USERS_CREATED
from bike_assets.sources.members import read_page
from bike_assets_tests.ingest.members.pages import NOON, URL, Api, people

KEY = "k" * 32
PARTITIONS = 2


@pytest.fixture(scope="module")
def own_broker(java: Path, jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path_factory.mktemp("members"), java, jars.kafka, *free_ports(2)) as running:
        yield running


@pytest.fixture
def servers(own_broker: LocalBroker) -> str:
    """A Kafka without members: the topics are made anew."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap})
    names = {USERS_CREATED.name, MEMBERS_STATE.name, REJECTIONS.name}
    there = names & admin.list_topics(timeout=10).topics.keys()
    for each in (admin.delete_topics(sorted(there)) if there else {}).values():
        each.result(30)
    while names & admin.list_topics(timeout=10).topics.keys():
        time.sleep(0.1)
    ensure_topics(own_broker.bootstrap, PARTITIONS)
    return own_broker.bootstrap


def poll(servers: str, api: Any, key: str = KEY, max_pages: int = 50) -> Polled:
    keyed = Keyed(key)
    return MembersPoll(MembersWriter(servers, PARTITIONS, keyed), keyed, URL, api, max_pages).run()


def messages(servers: str, topic: str) -> list[tuple[str, dict[str, Any] | None]]:
    return [
        ((each.key() or b"").decode(), None if each.value() is None else msgspec.json.decode(each.value() or b""))
        for partition in range(PARTITIONS) for each in read_to_end(servers, [topic], partition)
    ]  # fmt: skip


def ids(servers: str) -> Counter[str]:
    return Counter(value["member_id"] for _, value in messages(servers, USERS_CREATED.name) if value)


def test_each_member_is_stored_once_and_the_next_poll_goes_on_where_this_one_ended(servers: str) -> None:
    api = Api(people(250))
    done = poll(servers, api)
    assert (done.pages, done.is_at_end, done.counts) == (3, True, Taken(250, created=250))
    assert ids(servers) == Counter(each["login"]["uuid"] for each in api.people)
    api.people += people(120, first=250)
    api.asked.clear()
    assert poll(servers, api).counts.created == 120
    assert api.asked == [2, 3, 4, 1]
    assert ids(servers) == Counter(each["login"]["uuid"] for each in api.people)


@pytest.mark.parametrize("count", [230, 250, 30, 50])
def test_an_api_whose_pages_are_shorter_than_asked_for_loses_nobody(servers: str, count: int) -> None:
    """Whether its last page is as long as the others or not, and whether or not it has others."""
    api = Api(people(count), most=50)
    done = poll(servers, api)
    assert (done.is_at_end, done.error, done.counts) == (True, None, Taken(count, created=count))
    api.people += people(90, first=count)
    api.asked.clear()
    assert poll(servers, api).counts.created == 90
    assert api.asked[0] == max(1, (count - 1) // 50)  # it goes on where it was
    assert set(ids(servers)) == {each["login"]["uuid"] for each in api.people}


def test_an_api_whose_pages_are_short_is_read_on_where_a_poll_ends_in_the_midst(servers: str) -> None:
    api = Api(people(1_000), most=50)
    created = [poll(servers, api, max_pages=6).counts.created for _ in range(6)]
    assert sum(created) == 1_000
    assert created[0] == 300


def test_that_there_is_no_page_behind_a_short_one_may_be_said_by_a_404(servers: str) -> None:
    done = poll(servers, Api(people(30), no_page=404))
    assert (done.is_at_end, done.error, done.counts.created) == (True, None, 30)
    assert poll(servers, Api([], no_page=404)).error == "status 404"
    assert poll(servers, Api(people(30), no_page=500)).error == "status 500"


def test_who_moved_to_an_earlier_page_is_not_lost(servers: str) -> None:
    api = Api(people(200))
    poll(servers, api)
    del api.people[5:10]
    api.people += people(3, first=200)
    assert poll(servers, api).counts.created == 3


def test_a_list_that_is_shorter_than_what_was_read_is_read_from_its_beginning(servers: str) -> None:
    poll(servers, Api(people(400)))
    assert poll(servers, Api(people(150, first=390))).counts == Taken(150, created=140, known=10)


def test_who_signs_up_after_many_left_by_and_by_is_not_skipped(servers: str) -> None:
    api = Api(people(500))
    poll(servers, api)
    for _ in range(4):
        del api.people[:60]  # fewer than a page at once, more than two in all
        poll(servers, api)
    del api.people[:60]
    api.people += people(270, first=500)
    assert poll(servers, api).counts.created == 270


def test_a_page_that_is_nested_too_deeply_is_told_and_ends_no_poll_by_itself() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(FeedMalformed, match="no page of members"):
        read_page(b'{"results": [' + deep + b'], "info": {"seed": "s", "results": 1, "page": 1}}', "s", 1)
    taken = take_page([deep], set(), set(), [], Keyed(KEY), NOON)
    assert taken.counts == Taken(1, rejected=1)


def test_a_list_that_got_shorter_is_read_to_its_end_by_polls_that_each_have_an_end(servers: str) -> None:
    poll(servers, Api(people(900)))
    api = Api(people(600, first=500))  # 400 known, 200 new at the end
    assert [poll(servers, api, max_pages=3).counts.created for _ in range(5)][-1] == 0
    assert set(ids(servers)) == {each["login"]["uuid"] for each in people(1100)}


def test_who_moved_to_a_page_that_was_read_already_is_found_by_a_later_poll(servers: str) -> None:
    api = Api(people(1_400))

    def somebody_leaves_meanwhile(page: int, results: int) -> Any:
        answer = api(page, results)
        if page == 4 and len(api.people) == 1_400:
            del api.people[0]
        return answer

    assert poll(servers, somebody_leaves_meanwhile).counts.created == 1_399
    assert sum(poll(servers, api).counts.created for _ in range(2)) == 1
    assert set(ids(servers)) == {each["login"]["uuid"] for each in people(1_400)}


def test_a_poll_ends_after_so_many_pages_and_the_next_one_goes_on(servers: str) -> None:
    api = Api(people(500))
    first = poll(servers, api, max_pages=2)
    assert (first.is_at_end, first.counts.created) == (False, 200)
    assert poll(servers, api).counts.created == 300


def test_an_api_that_is_down_or_does_not_page_takes_nothing_along(servers: str) -> None:
    api = Api(people(10), is_down=True)
    assert poll(servers, api).error == "no answer"

    def first_page_always(_: int, results: int) -> Any:
        return Api(people(300))(1, results)

    done = poll(servers, first_page_always)
    assert (done.pages, done.counts.created) == (1, 100)
    assert done.error == "page 2 was asked for, and another page or seed was answered"
    api.is_down = False
    assert poll(servers, api).counts.known == 10


def test_a_refused_row_is_told_once_without_a_value_and_takes_nobody_along(servers: str) -> None:
    rows = people(3)
    rows[1]["email"] = "canary without a sign"
    api = Api([*rows, "canary", rows[0]])
    counts = poll(servers, api).counts
    assert counts == Taken(5, created=2, known=1, rejected=2)
    assert counts.is_balanced
    assert poll(servers, api).counts == Taken(5, known=3, rejected=2)
    told = [value or {} for _, value in messages(servers, REJECTIONS.name)]
    assert sorted((each["row_index"], each["reason"]) for each in told) == [
        (1, "email: is no address"), (3, "the row is no object")]  # fmt: skip
    assert "canary" not in str(told)
    assert rows[1]["login"]["password"] not in str(told)


def test_another_key_is_refused_before_anything_is_written(servers: str) -> None:
    poll(servers, Api(people(3)))
    with pytest.raises(WrongSettings, match="Set the key of before"):
        poll(servers, Api(people(9)), key="l" * 32)
    assert len(ids(servers)) == 3


def test_a_forgotten_member_is_gone_from_kafka_with_its_file_and_is_not_taken_again(
    servers: str, own_broker: LocalBroker
) -> None:
    api = Api(people(120, first=5000))  # of no other test: their topics' files go a minute after them
    poll(servers, api)
    uuid = api.people[3]["login"]["uuid"]
    logs = own_broker.home / "kafka"
    assert any(uuid.encode() in path.read_bytes() for path in logs.rglob("users_created-*/*.log"))
    writer = MembersWriter(servers, PARTITIONS, Keyed(KEY))
    writer.open()
    assert writer.ids_by_email(Keyed(KEY).email(api.people[3]["email"])) == {uuid}
    writer.forget([uuid], NOON)
    writer.await_gone([uuid])
    writer.close()
    holding = [path for path in logs.rglob("*") if path.is_file() and uuid.encode() in path.read_bytes()]
    assert holding == []
    assert poll(servers, api).counts == Taken(120, known=119, suppressed=1)
    assert set(ids(servers)) == {each["login"]["uuid"] for each in api.people} - {uuid}


def test_a_second_poll_fences_the_first(servers: str) -> None:
    def and_meanwhile(page: int, results: int) -> Any:
        poll(servers, Api(people(50)))
        return Api(people(50))(page, results)

    with pytest.raises(Fenced):
        poll(servers, and_meanwhile)
    assert set(ids(servers).values()) == {1}


_KILLED = """
import os, sys
from bike_assets.ingest.members.polling import MembersPoll
from bike_assets.ingest.members.writer import MembersWriter
from bike_assets.model.personal import Keyed
from bike_assets.sources.members import read_page
from bike_assets_tests.ingest.members.pages import URL, Api, people
servers, kill_at, step = sys.argv[1], int(sys.argv[2]), sys.argv[3]
api, keyed = Api(people(700)), Keyed("k" * 32)
class Unfinished:
    def __init__(self, producer):
        self.begin_transaction, self.produce_batch = producer.begin_transaction, producer.produce_batch
        self.flush = producer.flush
    def commit_transaction(self, _):
        assert self.flush(30) == 0
        os.kill(os.getpid(), 9)
writer = MembersWriter(servers, 2, keyed)
commit, done = writer.commit, [0]
def killed(records):
    done[0] += 1
    if step == "before" and done[0] == kill_at:
        os.kill(os.getpid(), 9)
    if step == "within" and done[0] == kill_at:
        writer._producer = Unfinished(writer._producer)
    commit(records)
    if step == "after" and done[0] == kill_at:
        os.kill(os.getpid(), 9)
writer.commit = killed
MembersPoll(writer, keyed, URL, api).run()
"""


@pytest.mark.parametrize("step", ["before", "within", "after"])
def test_a_poll_that_is_killed_loses_and_doubles_nobody(servers: str, step: str) -> None:
    for kill_at in (1, 3, 2):
        done = subprocess.run([sys.executable, "-c", _KILLED, servers, str(kill_at), step], check=False)
        assert done.returncode == -9
    api = Api(people(700))
    last = poll(servers, api)
    assert last.is_at_end
    assert ids(servers) == Counter(each["login"]["uuid"] for each in api.people)
    assert 0 < last.counts.created < 700
