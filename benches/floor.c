/*
 * The least a start can cost: floor PROGRAM [ARGUMENT]...
 *
 * The program runs in new user, mount, pid, ipc, uts, net and cgroup namespaces, as the same user, with the whole
 * root read-only, a /proc and a /dev of its own, and a process 1 that reaps. Nothing else is done: no options, no
 * signals passed on, no filter, no loopback. It works for an ordinary user and for root. A step that fails ends it
 * with status 125.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> exclude each other before glibc 2.37. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
enum { NO_SUID = 2, NO_DEV = 4, NO_EXEC = 8, PRIVATE = 1 << 18, DETACH = 2 };

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Ends everything if a call failed, naming it. */
static long must(long result, const char *verb, const char *object)
{
	if (result < 0) {
		dprintf(2, "floor: cannot %s %s: %s\n", verb, object, strerror(errno));
		_exit(125);
	}
	return result;
}

static void put(const char *path, const char *text)
{
	int file = must(open(path, O_WRONLY | O_CLOEXEC), "open", path);
	must(write(file, text, strlen(text)), "write", path);
	close(file);
}

/* A single id, the same inside as outside: the child may write that itself (user_namespaces(7)). */
static void map_ids(uid_t user, gid_t group)
{
	char line[64];

	snprintf(line, sizeof line, "%u %u 1\n", user, user);
	put("/proc/self/uid_map", line);
	/* Without privilege gid_map is refused as long as setgroups is allowed. */
	put("/proc/self/setgroups", "deny");
	snprintf(line, sizeof line, "%u %u 1\n", group, group);
	put("/proc/self/gid_map", line);
}

static void enter_root(void)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
		.propagation = PRIVATE,
	};
	unsigned copy = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;

	/* A copy of all mounts, not attached anywhere yet. */
	int tree = must(syscall(SYS_open_tree, AT_FDCWD, "/", copy), "copy", "the root");
	/* Read-only and private, each of them, in one call. */
	must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes),
	     "make read-only", "the root");
	/* pivot_root wants a mount point, so it goes on top of the old root. */
	must(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "attach", "the root");
	must(fchdir(tree), "enter", "the root");
	/* The old root lands on top of the new one, where "." still is (pivot_root(2), NOTES). */
	must(syscall(SYS_pivot_root, ".", "."), "pivot to", "the root");
	must(umount2(".", DETACH), "detach", "the old root");
	must(chdir("/"), "enter", "/");
	close(tree);
}

static void mount_devices(void)
{
	static const char *const nodes[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/dev/tty" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },		 { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },	 { "/proc/self/fd/2", "/dev/stderr" },
		{ "pts/ptmx", "/dev/ptmx" },
	};
	unsigned one = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	int held[COUNT(nodes)];

	/* Take hold of the host's nodes before they are covered. */
	for (size_t i = 0; i < COUNT(nodes); i++)
		held[i] = must(syscall(SYS_open_tree, AT_FDCWD, nodes[i], one), "copy", nodes[i]);
	must(mount("tmpfs", "/dev", "tmpfs", NO_SUID, "mode=755"), "mount", "/dev");
	/* A user namespace can't make device nodes: bind each on an empty file. */
	for (size_t i = 0; i < COUNT(nodes); i++) {
		must(mknod(nodes[i], S_IFREG | 0444, 0), "make", nodes[i]);
		must(syscall(SYS_move_mount, held[i], "", AT_FDCWD, nodes[i], MOVE_MOUNT_F_EMPTY_PATH), "bind", nodes[i]);
		close(held[i]);
	}
	for (size_t i = 0; i < COUNT(links); i++)
		must(symlink(links[i][0], links[i][1]), "link", links[i][1]);
	must(mkdir("/dev/shm", 0777), "make", "/dev/shm");
	/* A terminal file system of its own, so the host's terminals can't be opened. */
	must(mkdir("/dev/pts", 0755), "make", "/dev/pts");
	must(mount("devpts", "/dev/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666,mode=620"),
	     "mount", "/dev/pts");
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Process 1: starts the program, reaps whatever ends, and ends with the program. */
static int reap(char **program)
{
	int status;
	pid_t ended, child = must(vfork(), "fork", "process 1");

	if (child == 0) {
		execv(program[0], program);
		must(-1, "start", program[0]);
	}
	do
		ended = must(wait(&status), "wait for", program[0]);
	while (ended != child);
	return exit_code(status);
}

int main(int argc, char **argv)
{
	struct clone_args arguments = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			 CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	uid_t user = getuid();
	gid_t group = getgid();
	int status;

	if (argc < 2) {
		dprintf(2, "usage: floor PROGRAM [ARGUMENT]...\n");
		return 125;
	}
	/* All namespaces in one call; the child is process 1 of its own. */
	long child = must(syscall(SYS_clone3, &arguments, sizeof arguments), "make", "the namespaces");
	if (child == 0) {
		map_ids(user, group);
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up", "new privileges");
		enter_root();
		must(mount("proc", "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC, NULL), "mount", "/proc");
		mount_devices();
		_exit(reap(argv + 1));
	}
	must(waitpid(child, &status, 0), "wait for", "process 1");
	return exit_code(status);
}
