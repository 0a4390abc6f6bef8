/*
 * Says which pieces of 16 bytes of a program run, for order.py: step FILE COMMAND [ARGUMENT]... (taskset -c 0 makes it faster.)
 * It steps through the command alone, not through its children, and writes the pieces' addresses: a line each, in hexadecimal.
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

static unsigned char seen[(64 << 20) / 16];

int main(int argc, char **argv)
{
	int status, signal = 0;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: step FILE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("cannot start it");
		return 1;
	}
	while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, signal) || waitpid(pid, &status, __WALL) != pid) {
			perror("cannot step");
			return 1;
		}
		signal = WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
		unsigned long place = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
		if (place / 16 < sizeof seen)
			seen[place / 16] = 1;
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
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
