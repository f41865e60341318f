"""The system-call filter: which doors of the kernel stay shut inside, as a classic BPF program for x86-64."""

import struct

ARCHITECTURE = "x86_64"
"""The only machine that the numbers below are true for."""

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_AT_NUMBER = 0
_AT_ARCHITECTURE = 4
_AT_ARGUMENT = (16, 24, 32)  # the low halves of the first three arguments; the kernel reads ints there

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_NOT_PERMITTED = 0x00050000 | 1
_NO_SUCH_CALL = 0x00050000 | 38
_NO_SUCH_FAMILY = 0x00050000 | 97

_AUDIT_X86_64 = 0xC000003E
_X32_BIT = 0x40000000
_FIRST_UNKNOWN = 451  # calls younger than this table; programs fall back when told that they do not exist

_CLONE = 56
_CLONE3 = 435
_IOCTL = 16
_SOCKET = 41
_NAMESPACES = 0x7E020000  # every CLONE_NEW* bit that clone() takes
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_PROTOCOLS = {_UNIX: (0,), _INET: (0, 6, 17), _INET6: (0, 6, 17), _NETLINK: (0,)}
"""Socket families that may be made, and with which protocols: TCP and UDP lead nowhere in an empty network,
and netlink's route family is what the C library asks for the list of addresses."""

DENIED: dict[str, int] = {
    # other processes
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "process_madvise": 440, "process_mrelease": 448,
    # kernel interfaces with a long record of faults
    "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "personality": 135, "iopl": 172, "ioperm": 173, "modify_ldt": 154, "uselib": 134, "sysfs": 139,
    "_sysctl": 156, "nfsservctl": 180, "lookup_dcookie": 212, "vhangup": 153,
    # mounts and namespaces
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "fanotify_init": 300, "fanotify_mark": 301,
    # the machine
    "kexec_load": 246, "kexec_file_load": 320, "create_module": 174, "init_module": 175,
    "finit_module": 313, "delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "reboot": 169,
    "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "quotactl_fd": 443, "syslog": 103,
    "sethostname": 170, "setdomainname": 171, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
    "clock_adjtime": 305,
    # memory that no limit counts
    "memfd_create": 319, "memfd_secret": 447, "mbind": 237, "set_mempolicy": 238, "move_pages": 279,
    "migrate_pages": 256, "set_mempolicy_home_node": 450, "shmget": 29, "shmat": 30, "msgget": 68,
    "semget": 64, "mq_open": 240,
}  # fmt: skip


def build_filter() -> bytes:
    """Make the program that the kernel runs before each system call.

    A foreign architecture or x32 kills; what `DENIED` names, `clone` into new namespaces, typing into a
    terminal and unlisted sockets fail with an error; `clone3`, whose flags no filter can read, and calls
    younger than the table do not exist (the C library falls back); everything else is allowed.
    """
    code = [_load(_AT_ARCHITECTURE), *_unless_equal(_AUDIT_X86_64, _KILL), _load(_AT_NUMBER)]
    code += _at_least(_X32_BIT, _KILL) + _at_least(_FIRST_UNKNOWN, _NO_SUCH_CALL)
    for number in DENIED.values():
        code += _if_equal(number, _NOT_PERMITTED)
    code += _if_equal(_CLONE3, _NO_SUCH_CALL)
    code += _for_call(_CLONE, [_load(_AT_ARGUMENT[0]), *_any_bit(_NAMESPACES, _NOT_PERMITTED)])
    asked = [_load(_AT_ARGUMENT[1])]
    for request in _TERMINAL_INJECTION:
        asked += _if_equal(request, _NOT_PERMITTED)
    code += _for_call(_IOCTL, asked)
    code += _for_call(_SOCKET, _sockets())
    code.append(_answer(_ALLOW))
    return b"".join(code)


def _sockets() -> list[bytes]:
    code = [_load(_AT_ARGUMENT[0])]
    for family, protocols in _PROTOCOLS.items():
        known = [_load(_AT_ARGUMENT[2])]
        for protocol in protocols:
            known += _if_equal(protocol, _ALLOW)
        known.append(_answer(_NOT_PERMITTED))
        code += [_jump(_JUMP_EQUAL, family, 0, len(known)), *known]
    return [*code, _answer(_NO_SUCH_FAMILY)]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", _LOAD_WORD, 0, 0, offset)


def _answer(action: int) -> bytes:
    return struct.pack("=HBBI", _RETURN, 0, 0, action)


def _jump(test: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", test, if_true, if_false, value)


def _if_equal(value: int, action: int) -> list[bytes]:
    return [_jump(_JUMP_EQUAL, value, 0, 1), _answer(action)]


def _unless_equal(value: int, action: int) -> list[bytes]:
    return [_jump(_JUMP_EQUAL, value, 1, 0), _answer(action)]


def _at_least(value: int, action: int) -> list[bytes]:
    return [_jump(_JUMP_AT_LEAST, value, 0, 1), _answer(action)]


def _any_bit(bits: int, action: int) -> list[bytes]:
    return [_jump(_JUMP_ANY_BIT, bits, 0, 1), _answer(action)]


def _for_call(number: int, body: list[bytes]) -> list[bytes]:
    """Run the body for one call only; falling out of it, the call is allowed (the number is overwritten)."""
    whole = [*body, _answer(_ALLOW)]
    return [_jump(_JUMP_EQUAL, number, 0, len(whole)), *whole]
