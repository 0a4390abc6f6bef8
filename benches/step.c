/*
 * Says which pieces of 16 bytes of a program run, for order.py: step FILE COMMAND [ARGUMENT]... (taskset -c 0 makes it faster.)
 * It steps through the command and the children that it starts, many of which share its memory, until they execute another program,
 * and writes the pieces' addresses: a line each, in hexadecimal.
 * The program is linked to a fixed address below 64 MiB, as holm is.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#define CHILDREN (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

static unsigned char seen[(64 << 20) / 16];

int main(int argc, char **argv)
{
	int status;
	pid_t first, pid;

	if (argc < 3) {
		fprintf(stderr, "usage: step FILE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	first = fork();
	if (first == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, first, 0, CHILDREN | PTRACE_O_TRACEEXEC) || ptrace(PTRACE_SINGLESTEP, first, 0, 0)) {
		perror("cannot start it");
		return 1;
	}
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid == first)
				break;
			continue;
		}
		int event = status >> 16, signal = WSTOPSIG(status);
		/* What has become another program runs on by itself. */
		if (event == PTRACE_EVENT_EXEC) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			continue;
		}
		/* A child begins with a SIGSTOP of ptrace(2)'s. */
		if (event || signal == SIGTRAP || signal == SIGSTOP)
			signal = 0;
		unsigned long place = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
		if (place / 16 < sizeof seen)
			seen[place / 16] = 1;
		/* It fails of one that was killed meanwhile. */
		ptrace(PTRACE_SINGLESTEP, pid, 0, signal);
	}
	FILE *out = fopen(argv[1], "w");
	if (!out) {
		perror(argv[1]);
		return 1;
	}
	for (unsigned long piece = 0; piece < sizeof seen; piece++)
		if (seen[piece])
			fprintf(out, "%lx\n", piece * 16);
	if (fclose(out)) {
		perror(argv[1]);
		return 1;
	}
	return pid == first && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
