"""The store's Redis server as it really is: wrongly set up, forgetful, silent, killed, and come back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.crc import key_slot

from federation.broker.config import Store
from federation.broker.quotes.protocols import Claim
from federation.broker.store.redis.keys import Keyspace, RedisKeys, Transaction, commit_script, prefix
from federation.broker.store.redis.log import LogKeys
from federation.broker.store.redis.server import Server
from federation.broker.store.redis.store import RedisStore
from federation.evidence.protocols import SIGNED, Kept
from federation.node.seams import SystemEntropy
from schemas.problem import Outcome, Problem
from tests.support.local_root import LocalRoot
from tests.support.redis_server import ENTITY, RedisServer, emptied, redis_server, redis_space

pytestmark = pytest.mark.asyncio
__all__ = ["emptied", "redis_server"]
SCHEMA = f"{prefix(ENTITY)}schema"


@asynccontextmanager
async def impatient(
    store: Store, *, answer_s: float = 5, patience_s: float = 0.3, fresh_s: float = 60
) -> AsyncIterator[Keyspace]:
    """The keys of a broker that waits for nothing long."""
    script, name = (commit_script(),), prefix(ENTITY)
    async with Server(store, name, script, answer_s=answer_s, patience_s=patience_s, fresh_s=fresh_s) as server:
        yield Keyspace(RedisKeys(server, ENTITY, SystemEntropy()))


async def refused(server: RedisServer, store: Store | None = None) -> str:
    with pytest.raises(Problem) as caught:
        async with impatient(store or server.store):
            pass
    assert caught.value.code == "UNAVAILABLE"
    return str(caught.value)


async def add(transaction: Transaction) -> int:
    (found,) = await transaction.get("sum")
    transaction.put("sum", str(int(found or 0) + 1))
    return int(found or 0) + 1


async def failed(work: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    assert caught.value.code == "UNAVAILABLE"
    assert caught.value.retry_after_s
    return caught.value


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"appendonly": "no"}, "set appendonly yes"),
        ({"appendfsync": "everysec"}, "appendfsync everysec); set appendfsync always"),
        ({"no_appendfsync_on_rewrite": "yes"}, "(no-appendfsync-on-rewrite yes); set no-appendfsync-on-rewrite no"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy allkeys-lru); set maxmemory-policy noeviction"),
        ({"replicaof": "127.0.0.1 1", "masterauth": "x"}, "replica of another one; name the one that takes writes"),
    ],
)
async def test_a_server_that_was_started_wrongly_is_refused(settings: dict[str, str], says: str) -> None:
    with RedisServer(**settings) as server:
        assert says in await refused(server)
        with server.client() as client:
            assert client.dbsize() == 0, "nothing is written to a server that is not trusted"


async def test_all_that_is_wrong_is_said_at_once() -> None:
    with RedisServer(appendonly="no", appendfsync="no") as server:
        told = await refused(server)
    assert "set appendonly yes" in told
    assert "set appendfsync always" in told


async def test_who_may_not_look_is_told_what_to_allow(emptied: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    with emptied.client() as client:
        client.execute_command("ACL", "SETUSER", "weak", "on", ">secret", "~*", "+@all", "-config")
    weak = Store(redis=f"unix://weak@{emptied.socket}", password_file=str(tmp_path / "password"))
    told = await refused(emptied, weak)
    assert "ACL SETUSER" in told
    assert "+config|get" in told
    with emptied.client() as client:
        allowed = told.rpartition("<user> ")[2].split()
        client.execute_command("ACL", "SETUSER", "weak", "reset", "on", ">secret", f"~{prefix(ENTITY)}*", *allowed)
    async with impatient(weak) as space:
        assert await space.transact(add) == 1
    (tmp_path / "password").write_text("guessed")
    told = await refused(emptied, weak)
    assert "name and password" in told
    assert "guessed" not in told


async def test_a_server_that_wants_a_password_and_gets_none_says_so() -> None:
    with RedisServer(requirepass="secret") as server:
        assert "uthentication" in await refused(server)


async def test_nobody_there_and_keys_of_a_newer_peerway(emptied: RedisServer) -> None:
    assert "cannot be reached" in await refused(emptied, Store(redis="unix:///nowhere/redis.sock"))
    with emptied.client() as client:
        client.set(SCHEMA, "99")
    assert "newer Peerway (schema 99, this one knows 1)" in await refused(emptied)
    with emptied.client() as client:
        client.delete(SCHEMA)
    async with impatient(emptied.store):
        pass
    with emptied.client() as client:
        assert client.get(SCHEMA) == "1"


async def test_it_is_called_by_tcp_too() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with RedisServer(port=port) as server:
        async with impatient(Store(redis=f"redis://127.0.0.1:{port}/3")) as space:
            assert await space.transact(add) == 1
        with Redis(unix_socket_path=str(server.socket), db=3) as client:
            assert client.exists(f"{prefix(ENTITY)}sum")


async def test_it_is_called_by_tls_where_the_address_says_so(emptied: RedisServer, tmp_path: Path) -> None:
    """Through something that speaks TLS for the server; whoever vouches for it is in the configuration."""
    root, other = (LocalRoot(tmp_path / str(seed), "127.0.0.1", seed=seed) for seed in (70, 71))
    files = root.certificate(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.private_key)
    front = Stolen(emptied)
    async with await asyncio.start_server(front.serve, "127.0.0.1", 0, ssl=context) as listening:
        address = f"rediss://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
        async with impatient(Store(redis=address, roots=str(root.file))) as space:
            assert await space.transact(add) == 1
        assert "cannot be reached" in await refused(emptied, Store(redis=address, roots=str(other.file)))
        await until(lambda: front.open == 0)


async def test_a_server_without_room_says_none_and_throws_nothing_away(emptied: RedisServer) -> None:
    async with impatient(emptied.store) as space:
        assert await space.transact(add) == 1
        with emptied.client() as client:
            client.config_set("maxmemory", "1")
            assert (await failed(space.transact(add))).outcome is Outcome.NONE
            assert await space.keys.get(["sum"]) == ["1"]
            client.config_set("maxmemory", "0")
        assert await space.transact(add) == 2


async def test_a_power_cut_loses_nothing_and_nobody_has_to_help(emptied: RedisServer) -> None:
    async with impatient(emptied.store) as space:
        assert await space.transact(add) == 1
        emptied.kill()
        for _ in range(3):
            assert (await failed(space.keys.get(["sum"]))).outcome is None
            assert (await failed(space.transact(add))).outcome is None, "it could not even read"
        emptied.start()
        assert await space.transact(add) == 2
        with emptied.client() as client:
            client.script_flush()
        assert await space.transact(add) == 3


async def test_what_was_never_sent_had_no_effect(emptied: RedisServer) -> None:
    async with impatient(emptied.store) as space:

        async def cut(transaction: Transaction) -> int:
            answer = await add(transaction)
            emptied.kill()
            await asyncio.sleep(0.01)  # until the end of its connections is noticed
            return answer

        assert (await failed(space.transact(cut))).outcome is Outcome.NONE
        emptied.start()
        assert await space.transact(add) == 1


async def test_it_is_looked_at_again_when_it_comes_back(emptied: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with impatient(emptied.store) as space:
        assert await space.transact(add) == 1
        emptied.kill()
        emptied.set(appendfsync="everysec")
        emptied.start()
        for _ in range(3):
            problem = await failed(space.transact(add))
            assert "append" not in problem.detail, "a buyer need not know"
        assert [record.message.partition(";")[2] for record in caplog.records] == [" set appendfsync always"]
        emptied.kill()
        emptied.set(appendfsync="always")
        emptied.start()
        assert await space.transact(add) == 2


async def test_it_is_looked_at_again_now_and_then(emptied: RedisServer) -> None:
    async with impatient(emptied.store, fresh_s=0) as space:
        assert await space.transact(add) == 1
        with emptied.client() as client:
            client.config_set("appendfsync", "everysec")
            await failed(space.transact(add))
            client.config_set("appendfsync", "always")
        assert await space.transact(add) == 2


async def test_one_that_became_a_replica_of_another_is_left_at_once(emptied: RedisServer) -> None:
    """As in a failover: it still answers what is read, with what was so before."""
    async with impatient(emptied.store) as space:
        assert await space.transact(add) == 1
        with emptied.client() as client:
            client.replicaof("127.0.0.1", "1")
            assert (await failed(space.transact(add))).outcome is Outcome.NONE
            await failed(space.keys.get(["sum"]))
            client.replicaof("no", "one")
        assert await space.transact(add) == 2
    async with redis_space(emptied) as space:
        assert isinstance(space.keys, RedisKeys)
        with emptied.client() as client:
            client.replicaof("127.0.0.1", "1")
            await failed(space.keys.server.ask([("SET", "turn", "mine")]))
            await failed(space.keys.get(["sum"]))
            client.replicaof("no", "one")


async def test_what_is_read_comes_from_where_it_is_written(emptied: RedisServer) -> None:
    """The server of before was not killed: it answers for as long as anybody asks it."""
    with RedisServer() as another:
        address = emptied.folder / "here"
        address.symlink_to(emptied.socket)
        async with impatient(Store(redis=f"unix://{address}")) as space:
            assert isinstance(space.keys, RedisKeys)
            assert await space.transact(add) == 1
            before = space.keys.server.life
            address.unlink()
            address.symlink_to(another.socket)
            with emptied.client() as client:
                writing = [one for one in client.client_list() if one["cmd"] == "evalsha"]
                client.client_kill_filter(_id=writing[0]["id"])
            assert await space.transact(add) == 1
            assert await space.keys.get(["sum"]) == ["1"]
            assert space.keys.server.life != before
            assert await space.transact(add) == 2


async def test_one_that_says_nothing_leaves_it_unknown_and_then_it_is_known(emptied: RedisServer) -> None:
    async with impatient(emptied.store, answer_s=2) as space:
        assert await space.transact(add) == 1

        async def silenced(transaction: Transaction) -> int:
            answer = await add(transaction)
            emptied.pause()
            return answer

        problem = await failed(space.transact(silenced))
        emptied.resume()
        assert problem.outcome is Outcome.UNKNOWN
        assert await space.transact(add) in {2, 3}


async def test_a_commit_whose_answer_was_lost_is_done_once(emptied: RedisServer) -> None:
    answers = Stolen(emptied)
    async with answers.there(), impatient(answers.store, patience_s=30) as space:
        for number in range(1, 9):
            answers.left = number % 4
            assert await space.transact(add) == number
        assert answers.stolen == 12
    async with answers.there(), impatient(answers.store) as space:
        answers.left = 1000
        problem = await failed(space.transact(add))
        assert problem.outcome is Outcome.UNKNOWN
        answers.left = 0
        assert await space.transact(add) == 10, "it was done, and nobody could say so"


class Stolen:
    """Stands between a broker and its server, and takes away the answers to so many commits."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self._path = server, server.folder / "thief.sock"
        self.store, self.left, self.stolen = Store(redis=f"unix://{self._path}"), 0, 0
        self.open = 0

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        async with await asyncio.start_unix_server(self.serve, str(self._path)):
            yield
            await until(lambda: self.open == 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        answers, questions = await asyncio.open_unix_connection(str(self.server.socket))
        steal = asyncio.Event()
        asking = asyncio.create_task(self._ask(reader, questions, steal))
        while (answer := await answers.read(1 << 20)) and not steal.is_set():
            writer.write(answer)
        asking.cancel()
        for end in (writer, questions):
            end.close()
            await end.wait_closed()
        self.open -= 1

    async def _ask(self, reader: asyncio.StreamReader, questions: asyncio.StreamWriter, steal: asyncio.Event) -> None:
        """One question after another, as every connection of ours is used: what comes next is the answer to it."""
        while asked := await reader.read(1 << 20):
            if b"EVALSHA" in asked and self.left:
                self.left, self.stolen = self.left - 1, self.stolen + 1
                steal.set()
            questions.write(asked)
        questions.close()


async def test_in_a_crowd_every_word_about_every_commit_is_true(emptied: RedisServer) -> None:
    """Killed in the midst of some hundred commits: acknowledged is there, `none` is not, and nothing is there twice."""
    async with impatient(emptied.store) as space:
        told: dict[str, Outcome | str | None] = {}

        async def one(number: int) -> None:
            async def work(transaction: Transaction) -> None:
                transaction.absent(f"one-{number}")
                transaction.put(f"one-{number}", "1")
                transaction.append("all", str(number))

            try:
                await space.transact(work)
            except Problem as problem:
                told[str(number)] = problem.outcome
            else:
                told[str(number)] = "acknowledged"
            if len(told) == 90:
                emptied.kill()

        async def some(first: int) -> None:
            for number in range(first, first + 20):
                await one(number)

        await asyncio.gather(*(some(first) for first in range(0, 400, 20)))
        emptied.start()
        there = set(await space.keys.ranked("all"))
    acknowledged = {name for name, outcome in told.items() if outcome == "acknowledged"}
    assert 90 <= len(acknowledged) < 400
    assert acknowledged <= there
    assert not there & {name for name, outcome in told.items() if outcome is Outcome.NONE}
    assert set(told.values()) <= {"acknowledged", Outcome.NONE, Outcome.UNKNOWN}


async def test_where_there_is_no_server_tests_say_so_and_under_ci_that_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.support.redis_server.find_server", lambda: None)
    for ci, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match="no redis-server"), RedisServer():
            pass


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


async def test_with_replicas_a_write_is_acknowledged_once_one_of_them_has_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    timing = {"repl_diskless_sync_delay": "0", "min_replicas_max_lag": "60"}
    monkeypatch.setattr("federation.broker.store.redis.server.REPLICAS_MS_MAX", 200)
    server, replica = RedisServer(port=port, **timing), RedisServer(replicaof=f"127.0.0.1 {port}")
    with server, replica, server.client() as client, replica.client() as copy:
        await until(lambda: client.info("replication")["connected_slaves"] == 1)
        await until(lambda: copy.info("replication")["master_link_status"] == "up")
        assert "set min-replicas-to-write 1 or more" in await refused(server)
        client.config_set("min-replicas-to-write", "1")
        await until(lambda: client.info("replication")["min_slaves_good_slaves"] == 1)
        async with redis_space(server) as space:
            for number in range(1, 20):
                assert await space.transact(add) == number
                assert copy.get(f"{prefix(ENTITY)}sum") == str(number), "acknowledged means that it has it"
        async with impatient(server.store) as space:
            await space.keys.get(["sum"])
            replica.pause()
            problem = await failed(space.transact(add))
            assert problem.outcome is Outcome.UNKNOWN, "the server has it and its replica has not"
            await nothing_is_told_that_only_the_server_has(space)
            client.config_set("min-replicas-max-lag", "3")
            await until(lambda: client.info("replication")["min_slaves_good_slaves"] == 0)
            problem = await failed(space.transact(add))
            assert problem.outcome is Outcome.NONE
            assert "NOREPLICAS" in caplog.records[-1].message
            replica.resume()
            await until(lambda: client.info("replication")["min_slaves_good_slaves"] == 1)
            assert await space.transact(add) == 21


async def nothing_is_told_that_only_the_server_has(space: Keyspace) -> None:
    """Whoever asks again is not told what a failover could still lose: it was not acknowledged the first time."""
    claim, log = Claim(buyer="alice", key="k", digest="d"), LogKeys(space)
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: RedisStore(space).revoke(["alice"], "m" * 43, 7),
        lambda: RedisStore(space).answer(claim, "o1", 7),
        lambda: RedisStore(space).claim(claim, 7),
        lambda: log.keep(SIGNED, Kept(0, "note")),
        lambda: log.checkpoint(SIGNED),
    ]
    for ask in (*asked, asked[0]):
        assert (await failed(ask())).outcome is Outcome.UNKNOWN


async def test_a_node_of_a_cluster_will_do_where_it_has_the_slot_of_all_our_keys() -> None:
    """A server that owns every slot, and refuses whatever touches two."""
    with RedisServer(cluster_enabled="yes") as server:
        assert "does not serve the slot of this broker (Hash slot not served)" in await refused(server)
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            await until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
        async with redis_space(server) as space:

            async def work(transaction: Transaction) -> None:
                for name in ("a", "b", "c"):
                    transaction.put(name, "1")
                    transaction.append("q", name)

            await space.transact(work)
            assert await space.keys.get(["a", "b", "c"]) == ["1"] * 3


async def test_a_node_of_a_cluster_that_has_another_slot_names_the_one_that_has_ours() -> None:
    with RedisServer(cluster_enabled="yes") as server:
        server.kill()
        slot = key_slot(SCHEMA.encode())
        mine, others = f"{'a' * 40} :0@0 myself,master - 0 0 1 connected {slot - 1}", f"0-{slot - 2} {slot}-16383"
        other = f"{'b' * 40} 10.0.0.9:7000@17000 master - 0 0 2 connected {others}"
        (server.folder / "nodes.conf").write_text(f"{mine}\n{other}\nvars currentEpoch 2 lastVoteEpoch 0\n")
        server.start()
        async with asyncio.timeout(60):
            while "cluster is down" in (told := await refused(server)):
                await asyncio.sleep(0.1)
        assert f"does not serve the slot of this broker ({slot} 10.0.0.9:7000); name the node that does" in told
