"""What hostile code tries inside comes to nothing."""

import socket
from pathlib import Path

import pytest

from bailiwick.ports import SandboxJob, Stop
from bailiwick.sandbox.jail import SHM_BYTES, TMP_BYTES, WORK_BYTES


async def test_a_fork_bomb_stops_at_the_limit_of_processes(python_inside) -> None:
    result = await python_inside(
        "import os, signal\n"
        "n = 0\n"
        "try:\n"
        "    while n < 1000:\n"
        "        if os.fork() == 0:\n"
        "            signal.pause()\n"
        "        n += 1\n"
        "except BlockingIOError:\n"
        "    print(n)\n",
        processes=40,
    )
    assert (result.ended_by, result.exit_code) == ("exit", 0)
    assert 20 < int(result.output) < 40


async def test_two_gigabytes_are_a_memory_error(python_inside) -> None:
    result = await python_inside("bytearray(2 << 30)")
    assert result.exit_code == 1
    assert "MemoryError" in result.output


async def test_many_processes_cannot_hold_together_what_one_may_not(python_inside) -> None:
    result = await python_inside(
        "import os, time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(100 << 20)\n"
        "        held[::4096] = b'x' * (100 << 8)\n"
        "        time.sleep(15)\n"
        "time.sleep(15)\n",
        memory_bytes=400 << 20,
    )
    assert result.ended_by == "memory"
    assert result.exit_code == -9


@pytest.mark.parametrize(
    "call",
    [
        "os.memfd_create('x')",
        "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)",
        "socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)",
        "os.chroot('/tmp')",
        "os.mknod('/job/sda', 0o60666, os.makedev(8, 0))",
        "fcntl.ioctl(0, termios.TIOCSTI, b'x')",
        "os.setuid(0)",
        "os.kill(1, 9) or os.kill(1, 0) or exit('pid 1 lives')",
    ],
)
async def test_a_call_that_reaches_around_the_walls_is_refused(python_inside, call: str) -> None:
    result = await python_inside(f"import fcntl, os, socket, termios\n{call}\nprint('escaped')")
    assert "escaped" not in result.output
    assert result.exit_code == 1
    assert "Error" in result.output or "pid 1 lives" in result.output


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (101, "0, 1, 0, 0"),
        (425, "8, 0"),
        (250, "0, -3, 1"),
        (272, "0x10000000"),
        (435, "0, 0"),
        (56, "0x10000011, 0"),
    ],
    ids=["ptrace", "io_uring", "keyctl", "unshare", "clone3", "clone-newuser"],
)
async def test_a_system_call_of_the_list_is_refused(python_inside, number: int, arguments: str) -> None:
    result = await python_inside(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number}, {arguments}), ctypes.get_errno() in (1, 38))\n"
    )
    assert result.output == "-1 True\n"


async def test_the_32_bit_door_of_the_kernel_kills(python_inside) -> None:
    """`int 0x80` with the number of `getpid`: its calls have other numbers, so the filter must not read them."""
    result = await python_inside(
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))\n"
        "print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())\n"
    )
    assert result.exit_code == -31
    assert result.output == ""


async def test_the_launchers_secrets_are_nowhere_inside(python_inside, monkeypatch) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-very-secret")
    result = await python_inside(
        "import os, pathlib\n"
        "print(sorted(os.environ))\n"
        "for entry in pathlib.Path('/proc').glob('[0-9]*/*'):\n"
        "    if entry.name in ('environ', 'cmdline'):\n"
        "        print(entry, entry.read_bytes().count(b'sk-very-' + b'secret'))\n"
    )
    lines = result.output.splitlines()
    assert lines[0] == "['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE']"
    assert len(lines) >= 5
    assert all(line.endswith(" 0") for line in lines[1:])


async def test_nothing_of_the_host_can_be_read(python_inside, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    places = [
        "/etc/passwd",
        "/etc/shadow",
        "/root",
        "/home",
        "/var",
        "/sys",
        "/run",
        str(tmp_path / "secret"),
    ]
    result = await python_inside(
        f"import os; print([p for p in {places} if os.path.lexists(p)], os.listdir('/tmp'))"
    )
    assert result.output == "[] []\n"


@pytest.mark.parametrize(
    "place",
    [
        "/x",
        "/usr/x",
        "/usr/bin/git",
        "/usr/local/x",
        "/dev/x",
        "/opt/python/bin/python",
        "/stdin",
        "/proc/sys/kernel/panic",
    ],
)
async def test_only_the_temporary_places_can_be_written(python_inside, place: str) -> None:
    result = await python_inside(f"open({place!r}, 'r+b' if {place!r}.endswith('git') else 'wb').write(b'x')")
    assert result.exit_code == 1
    assert "Error" in result.output


@pytest.mark.parametrize(
    ("place", "limit"), [("/job", WORK_BYTES), ("/tmp", TMP_BYTES), ("/dev/shm", SHM_BYTES)]
)
async def test_temporary_places_are_as_large_as_they_are_said_to_be(
    python_inside, place: str, limit: int
) -> None:
    result = await python_inside(
        "import errno\n"
        "written = 0\n"
        "try:\n"
        "    for n in range(1000):\n"
        f"        with open(f'{place}/{{n}}', 'wb', buffering=0) as file:\n"
        "            written += file.write(bytes(1 << 20))\n"
        "except OSError as error:\n"
        "    print(errno.errorcode[error.errno], written)\n"
    )
    word, written = result.output.split()
    assert word == "ENOSPC"
    assert int(written) <= limit


async def test_a_file_cannot_grow_past_its_limit(python_inside) -> None:
    result = await python_inside("open('/job/x', 'w').truncate(1 << 40)")
    assert result.exit_code in {1, -25}


async def test_no_network_leads_anywhere(python_inside) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0bailiwick-test")
        unix.listen()
        result = await python_inside(
            "import socket\n"
            "def reach(*to):\n"
            "    family = socket.AF_UNIX if isinstance(to[0], str) and to[0][0] == chr(0) else socket.AF_INET\n"
            "    with socket.socket(family) as s:\n"
            "        s.settimeout(2)\n"
            "        return s.connect_ex(to[0] if family == socket.AF_UNIX else to)\n"
            f"print(reach('127.0.0.1', {server.getsockname()[1]}) != 0, reach(chr(0) + 'bailiwick-test') != 0,"
            " reach('1.1.1.1', 443) != 0)\n"
            "try:\n"
            "    socket.getaddrinfo('example.com', 443)\n"
            "except OSError:\n"
            "    print('no name')\n"
        )
    assert result.output == "True True True\nno name\n"


async def test_a_service_can_still_talk_to_itself(python_inside) -> None:
    result = await python_inside(
        "import socket, threading\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "t = threading.Thread(target=lambda: server.accept()[0].sendall(b'hello'))\n"
        "t.start()\n"
        "print(socket.create_connection(server.getsockname()).recv(9)); t.join()\n"
    )
    assert result.output == "b'hello'\n"


async def test_the_job_is_nobody_and_stays_nobody(python_inside) -> None:
    result = await python_inside(
        "import os, pathlib\n"
        "status = dict(l.split(':', 1) for l in pathlib.Path('/proc/self/status').read_text().splitlines())\n"
        "print(os.getuid(), status['CapEff'].strip(), status['CapBnd'].strip(), status['NoNewPrivs'].strip())\n"
    )
    assert result.output == f"65534 {'0' * 16} {'0' * 16} 1\n"


async def test_threads_processes_and_git_still_work_under_the_filter(sandbox) -> None:
    script = (
        "import concurrent.futures as f, multiprocessing as m, subprocess, asyncio, sqlite3, ssl\n"
        "if __name__ == '__main__':\n"
        "    print(list(f.ThreadPoolExecutor(4).map(abs, [-1])), m.Pool(2).map(abs, [-2]))\n"
        "    subprocess.run(['git', 'init', '-q', 'x'], check=True)\n"
        "    asyncio.run(asyncio.sleep(0))\n"
        "    print(subprocess.run(['git', '-C', 'x', 'status', '-s'], check=True).returncode)\n"
    )
    argv = ("sh", "-c", "cat > run.py && python run.py")
    result = await sandbox.run(SandboxJob(argv=argv, stdin=script.encode()), lambda _: None, Stop())
    assert result.output == "[1] [2]\n0\n"
