"""The embedded servers for real: restarts, kills, and what stands in their way."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from tests.support.eventually import eventually

from usher.adapters.embedded.cluster import find_programs
from usher.adapters.embedded.identity import Identity, choose_identity, guarded
from usher.adapters.embedded.ports import free_port
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.process import Farewell, ServerProcess
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.domain.errors import Conflict, Unavailable

OWNER_SCRIPT = """
import asyncio, sys
from pathlib import Path
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis

async def main(home: Path) -> None:
    async with EmbeddedPostgres(home / "postgres") as postgres, EmbeddedRedis(home / "redis") as redis:
        print(postgres.pid, redis.pid, postgres.dsn, redis.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def rows(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn, timeout=30)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def test_postgres_keeps_its_data_and_its_password_over_a_restart(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "pg") as server:
        await rows(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        first_password = (tmp_path / "pg" / "password").read_text()
    async with EmbeddedPostgres(tmp_path / "pg") as server:
        assert [row["number"] for row in await rows(server.dsn, "SELECT number FROM kept")] == [7]
    assert (tmp_path / "pg" / "password").read_text() == first_password


async def test_durable_postgres_syncs_and_the_other_does_not(tmp_path: Path) -> None:
    for durable, expected in ((True, "on"), (False, "off")):
        async with EmbeddedPostgres(tmp_path / expected, durable=durable) as server:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert (await rows(server.dsn, f"SHOW {setting}"))[0][0] == expected, setting


async def test_postgres_wants_the_password_and_knows_it_only_as_a_scram_secret(
    postgres_server: EmbeddedPostgres,
) -> None:
    wrong = postgres_server.dsn.replace("usher:", "usher:not-", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong, timeout=30)
    kept = await rows(postgres_server.dsn, "SELECT rolpassword FROM pg_authid WHERE rolname = 'usher'")
    assert kept[0][0].startswith("SCRAM-SHA-256$")


async def test_postgres_log_holds_no_customer_content(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False) as server:
        await rows(server.dsn, "CREATE TABLE said (words text PRIMARY KEY)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await rows(server.dsn, "INSERT INTO said VALUES ('whispered'), ('whispered')")
    assert "whispered" not in (tmp_path / "server.log").read_text()
    assert "duplicate key" in (tmp_path / "server.log").read_text()
    assert "duplicate key" in (tmp_path / "server.log").read_text()


async def test_directories_and_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "pg", durable=False), EmbeddedRedis(tmp_path / "redis", durable=False):
        pass
    for path in ("pg", "redis"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o700
    for path in ("pg/password", "redis/password", "redis/redis.conf"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o600


async def test_redis_keeps_its_data_over_a_restart_and_throws_nothing_away(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, "pass word\\\"'#ä") as server, Redis.from_url(server.url) as client:
        await client.set("kept", "7")
        settings = await client.config_get("maxmemory*")
        assert settings["maxmemory-policy"] == "noeviction"
        assert int(settings["maxmemory"] or 0) > 0
    async with EmbeddedRedis(tmp_path, "pass word\\\"'#ä") as server, Redis.from_url(server.url) as client:
        assert await client.get("kept") == b"7"


async def test_redis_survives_its_own_kill_with_what_was_written(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as client:
        await client.set("kept", "7")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.wait_for(server.wait_dead(), 30)
    async with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as client:
        assert await client.get("kept") == b"7"


async def test_servers_listen_on_loopback_only(postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis) -> None:
    for server in (postgres_server, redis_server):
        listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


async def test_no_password_is_to_be_seen_in_arguments(
    postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis
) -> None:
    for server, address in ((postgres_server, postgres_server.dsn), (redis_server, redis_server.url)):
        password = address.split("@")[0].rsplit(":", 1)[1]
        assert password not in " ".join(psutil.Process(server.pid).cmdline())


async def test_no_server_outlives_a_killed_parent_and_the_next_start_carries_on(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER_SCRIPT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    line = (await asyncio.wait_for(owner.stdout.readline(), 90)).decode().split()
    pids, dsn, url = [int(word) for word in line[:2]], line[2], line[3]
    await rows(dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    async with Redis.from_url(url) as client:
        await client.set("kept", "7")

    owner.kill()
    await owner.wait()
    for pid in pids:
        await eventually(partial(is_gone, pid), timeout_s=60)

    async with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        assert len(await rows(postgres.dsn, "SELECT number FROM kept")) == 1
    async with EmbeddedRedis(tmp_path / "redis") as redis, Redis.from_url(redis.url) as client:
        assert await client.get("kept") == b"7"


async def test_a_server_that_lost_its_parent_before_it_could_notice_does_not_start(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    command = list(guarded(Identity("same", (-1, -1)), signal.SIGKILL, ("/usr/bin/touch", str(marker))))
    command[command.index(str(os.getpid()))] = "1"
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, error = await process.communicate()
    assert process.returncode != 0
    assert b"already ended" in error
    assert not marker.exists()


async def test_a_second_usher_on_the_same_directory_is_told_who_has_it(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "pg", durable=False), EmbeddedRedis(tmp_path / "redis", durable=False):
        for second in (EmbeddedPostgres(tmp_path / "pg"), EmbeddedRedis(tmp_path / "redis")):
            with pytest.raises(Conflict, match=f"process {os.getpid()}"):
                await second.start()


async def test_a_taken_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for server in (EmbeddedPostgres(tmp_path / "pg", port=port), EmbeddedRedis(tmp_path / "redis", port=port)):
            with pytest.raises(Conflict, match=rf"127\.0\.0\.1:{port}: process {os.getpid()}"):
                await server.start()


async def test_a_wanted_port_is_used(tmp_path: Path) -> None:
    port = free_port()
    async with EmbeddedRedis(tmp_path, port=port, durable=False) as server:
        assert f":{port}/" in server.url


@pytest.mark.parametrize("content", ["", "not a number\n", "99999999999999999999\n", f"{os.getpid()}\n/elsewhere\n"])
async def test_a_corrupted_or_foreign_pid_file_does_not_keep_postgres_from_starting(
    tmp_path: Path, content: str
) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False):
        pass
    (tmp_path / "cluster" / "postmaster.pid").write_text(content)
    async with EmbeddedPostgres(tmp_path, durable=False) as server:
        assert (await rows(server.dsn, "SELECT 7"))[0][0] == 7


async def test_a_crashed_postgres_recovers_at_the_next_start(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as server:
        await rows(server.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(server.wait_dead(), 30) == -signal.SIGKILL
    assert (tmp_path / "cluster" / "postmaster.pid").exists()
    async with EmbeddedPostgres(tmp_path) as server:
        assert len(await rows(server.dsn, "SELECT number FROM kept")) == 1


async def test_an_orphan_that_still_serves_the_directory_is_ended_first(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False):
        pass
    programs = find_programs()
    identity = choose_identity(programs / "postgres", tmp_path)
    arguments = ["-D", str(tmp_path / "cluster"), "-c", f"port={free_port()}", "-c", "unix_socket_directories="]
    command = guarded(identity, signal.SIGQUIT, (str(programs / "postgres"), *arguments))
    orphan = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603 - a server that no loop of ours knows
    try:
        pid_file = tmp_path / "cluster" / "postmaster.pid"
        await eventually(lambda: pid_file.exists() and "ready" in pid_file.read_text(), timeout_s=60)
        async with EmbeddedPostgres(tmp_path, durable=False) as server:
            assert is_gone(orphan.pid)
            assert (await rows(server.dsn, "SELECT 7"))[0][0] == 7
    finally:
        orphan.kill()
        orphan.wait(30)


async def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    half_made = tmp_path / "cluster.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(tmp_path, durable=False) as server:
        assert (await rows(server.dsn, "SELECT 7"))[0][0] == 7


async def test_a_cluster_of_another_version_fails_with_what_postgres_says(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, durable=False):
        pass
    (tmp_path / "cluster" / "PG_VERSION").write_text("12\n")
    with pytest.raises(Unavailable, match="incompatible with server"):
        await EmbeddedPostgres(tmp_path, durable=False).start()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="incompatible with server"):
            await EmbeddedPostgres(tmp_path, durable=False).start()  # the lock was let go


async def test_a_server_that_ignores_polite_signals_is_killed(tmp_path: Path) -> None:
    farewell = Farewell(((signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0)))
    server = await ServerProcess.start(
        "Deaf",
        (
            sys.executable,
            "-c",
            "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
        ),
        identity=Identity("same", (-1, -1)),
        log_path=tmp_path / "log",
        farewell=farewell,
    )
    await eventually(lambda: "deaf" in (tmp_path / "log").read_text(), timeout_s=30)
    await server.stop()
    assert server.returncode == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on other users, so it has to be root")
@pytest.mark.parametrize(("kind", "user", "reaches"), [("switched", 65534, False), ("reaching", 65534, True)])
def test_root_becomes_another_user_where_namespaces_are_forbidden(
    tmp_path: Path, kind: str, user: int, reaches: bool
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch()
    command = ("/bin/sh", "-c", 'id -u; test -e "$0"', str(closed / "file"))
    identity = Identity(f"{kind}:{user}:{user}", (user, user))
    result = subprocess.run(guarded(identity, signal.SIGKILL, command), capture_output=True, timeout=30, check=False)  # noqa: S603 - a fixed command
    assert result.stdout.decode().strip() == str(user), result.stderr
    assert (result.returncode == 0) == reaches


def test_where_no_user_will_do_the_error_says_why_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"PostgreSQL cannot run here.*USHER_DATABASE__DSN"):
        choose_identity(Path("/bin/false"), tmp_path)
