/*
 * Runs a command again and again and says what that took: meter RUNS MILLISECONDS COMMAND [ARGUMENT]...
 * It ends after RUNS runs or MILLISECONDS, whichever is first, and prints: runs, wall ns, CPU us, peak KiB.
 *
 * It is a program of its own, and small, for two reasons. The kernel counts the memory a process had before its
 * exec into the process's peak (exec_mmap, ru_maxrss), so a large parent hides a small child. And being started by
 * another user must not be part of the time.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t micros(struct timeval t)
{
	return t.tv_sec * INT64_C(1000000) + t.tv_usec;
}

/* Runs the command once, adds to the sums, and returns 0 if it ended with 0. */
static int once(char **command, int64_t *cpu, long *peak)
{
	pid_t pid;
	int status;
	struct rusage used;

	int error = posix_spawn(&pid, command[0], NULL, NULL, command, environ);
	if (error) {
		fprintf(stderr, "cannot start %s: %s\n", command[0], strerror(error));
		return 1;
	}
	if (wait4(pid, &status, 0, &used) != pid) {
		perror("cannot wait");
		return 1;
	}
	if (status) {
		fprintf(stderr, WIFSIGNALED(status) ? "killed by signal %d\n" : "ended with status %d\n",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		return 1;
	}
	*cpu += micros(used.ru_utime) + micros(used.ru_stime);
	if (used.ru_maxrss > *peak)
		*peak = used.ru_maxrss;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: meter RUNS MILLISECONDS COMMAND [ARGUMENT]...\n");
		return 2;
	}
	long wanted = atol(argv[1]), runs = 0, peak = 0;
	int64_t cpu = 0, begin = now(), end = begin, limit = begin + atol(argv[2]) * INT64_C(1000000);

	while (runs < wanted && end < limit) {
		if (once(argv + 3, &cpu, &peak))
			return 1;
		runs++;
		end = now();
	}
	printf("%ld %lld %lld %ld\n", runs, (long long)(end - begin), (long long)cpu, peak);
	return 0;
}
