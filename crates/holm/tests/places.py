"""Keeps namespaces alive in one way each, for tests/inspect.rs. One line a way: its name, kind, inode, and what holds it.

Run in new namespaces of which it is the owner; ends when its standard input does."""

import array, ctypes, os, socket, struct, subprocess, sys, threading

USER, NET, UTS, MNT, PID, IPC, TIME = 0x10000000, 0x40000000, 0x04000000, 0x00020000, 0x20000000, 0x08000000, 0x00000080
libc = ctypes.CDLL(None, use_errno=True)
scratch = sys.argv[1]


def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def link(name, who="self"):
    return os.open(f"/proc/{who}/ns/{name}", os.O_RDONLY)


def inode(descriptor):
    return os.fstat(descriptor).st_ino


def say(way, kind, number, held):
    print(way, kind, number, held, flush=True)


def elsewhere(flag, kind, then=lambda: None):
    """Makes a namespace in a thread of its own, does something there, and returns a descriptor of it."""
    made, failed = [], []

    def inside():
        try:
            call("unshare", flag)
            made.extend([os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY), then()])
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made


def thread():
    ready, told = threading.Event(), []

    def inside():
        call("unshare", UTS)
        told.extend([threading.get_native_id(), os.stat("/proc/thread-self/ns/uts").st_ino])
        ready.set()
        threading.Event().wait()

    threading.Thread(target=inside, daemon=True).start()
    ready.wait()
    say("thread", "uts", told[1], f"thread {told[0]} of {os.getpid()}")


def descriptor():
    fd, _ = elsewhere(UTS, "uts")
    say("descriptor", "uts", inode(fd), f"fd {fd} of {os.getpid()}")


def in_flight():
    fd, _ = elsewhere(IPC, "ipc")
    number = inode(fd)
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)
    kept.extend(pair)
    say("in-flight", "ipc", number, f"sent to socket, fd {pair[1].fileno()} of {os.getpid()}")


def made_socket():
    fd, made = elsewhere(NET, "net", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    number = inode(fd)
    os.close(fd)
    kept.append(made)
    say("socket", "net", number, f"socket, fd {made.fileno()} of {os.getpid()}")


def tun():
    def attach():
        import fcntl

        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"holm%d", 0x1001))
        return device

    fd, device = elsewhere(NET, "net", attach)
    number = inode(fd)
    os.close(fd)
    say("tun", "net", number, f"tun device, fd {device} of {os.getpid()}")


def bound():
    fd, _ = elsewhere(UTS, "uts")
    path = f"{scratch}/bound here"
    open(path, "w").close()
    call("mount", f"/proc/self/fd/{fd}".encode(), path.encode(), None, 4096, None)
    say("bound", "uts", inode(fd), f"bound at {path}")
    os.close(fd)


def detached():
    fd, _ = elsewhere(UTS, "uts")
    number = inode(fd)
    # open_tree(2), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
    tree = libc.syscall(428, fd, b"", 1 | os.O_CLOEXEC | 0x1000)
    os.close(fd)
    say("detached", "uts", number, f"fd {tree} of {os.getpid()}")


def bound_without_process():
    """A mount namespace that only a descriptor holds; in it a mount holds another one."""
    fd, _ = elsewhere(UTS, "uts")
    number = inode(fd)
    path = f"{scratch}/bound elsewhere"
    open(path, "w").close()

    def bind():
        call("mount", None, b"/", None, 1 << 18 | 16384, None)
        call("mount", f"/proc/self/fd/{fd}".encode(), path.encode(), None, 4096, None)

    mounts, _ = elsewhere(MNT, "mnt", bind)
    os.close(fd)
    say("without-process", "uts", number, f"bound at {path} in mnt {inode(mounts)}")


def children():
    """A process whose next children start in another time namespace."""
    child = subprocess.Popen(
        ["python3", "-c", f"import ctypes,sys; ctypes.CDLL(None).unshare({TIME}); print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    kept.append(child)
    say("children", "time", os.stat(f"/proc/{child.pid}/ns/time_for_children").st_ino, f"children of {child.pid}")


def between():
    """A user namespace in which nobody is, between this one and one with a process."""
    script = f"""
import ctypes, os
def enter():
    ctypes.CDLL(None).unshare({USER})
    for name, text in ("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1"):
        open("/proc/self/" + name, "w").write(text)
    print(os.stat("/proc/self/ns/user").st_ino, flush=True)
enter()
enter()
input()
"""
    child = subprocess.Popen(["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    outer, inside = int(child.stdout.readline()), int(child.stdout.readline())
    kept.append(child)
    say("between", "user", outer, f"user {inside} below it")


def owner():
    """A user namespace in which nobody is, and which owns one that a descriptor holds."""
    script = f"import ctypes,os,sys; c=ctypes.CDLL(None); c.unshare({USER}); c.unshare({UTS}); " \
        "print(os.stat('/proc/self/ns/user').st_ino, flush=True); sys.stdin.read()"
    child = subprocess.Popen(["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    user = int(child.stdout.readline())
    held = link("uts", child.pid)
    child.stdin.close()
    child.wait()
    say("owner", "user", user, f"uts {inode(held)} below it")


kept = []
for way in (thread, descriptor, in_flight, made_socket, tun, bound, detached, bound_without_process, children, between, owner):
    try:
        way()
    except OSError as error:
        say(way.__name__, "skipped", 0, str(error))
print("ready", flush=True)
sys.stdin.read()
for one in kept:
    if isinstance(one, subprocess.Popen):
        one.kill()
        one.wait()
os._exit(0)
