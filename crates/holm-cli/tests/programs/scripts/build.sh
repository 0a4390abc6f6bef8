# A program of several files with threads, built by make and gcc, and run.
set -e
cat >sum.h <<'END'
long sum(int parts, long end);
END
cat >sum.c <<'END'
#include <pthread.h>
#include <stdlib.h>
#include "sum.h"
struct part { pthread_t thread; long from, to, sum; };
static void *work(void *given)
{
	struct part *p = given;
	for (long n = p->from; n < p->to; n++)
		p->sum += n;
	return p;
}
long sum(int parts, long end)
{
	struct part *part = calloc(parts, sizeof *part);
	long all = 0;
	for (int i = 0; i < parts; i++) {
		part[i].from = end / parts * i;
		part[i].to = end / parts * (i + 1);
		if (pthread_create(&part[i].thread, 0, work, &part[i]))
			abort();
	}
	for (int i = 0; i < parts; i++) {
		pthread_join(part[i].thread, 0);
		all += part[i].sum;
	}
	free(part);
	return all;
}
END
cat >main.c <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/random.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "sum.h"
extern char **environ;
#define TRY(what) printf("%s: %s\n", #what, (what) >= 0 ? "works" : strerror(errno))
int main(void)
{
	printf("%ld\n", sum(8, 8000000));
	struct timespec t;
	char *const arguments[] = {"true", 0};
	pid_t pid;
	int status = -1, shared = memfd_create("m", MFD_ALLOW_SEALING);
	TRY(ftruncate(shared, 4096));
	TRY(fcntl(shared, F_ADD_SEALS, F_SEAL_SHRINK));
	TRY(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0) == MAP_FAILED ? -1 : 0);
	TRY(epoll_create1(EPOLL_CLOEXEC));
	TRY(eventfd(0, EFD_SEMAPHORE));
	TRY(timerfd_create(CLOCK_MONOTONIC, 0));
	TRY(inotify_init1(0));
	TRY(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
	TRY(mq_open("/queue-of-a-test", O_CREAT | O_RDWR, 0600, 0));
	TRY(mq_unlink("/queue-of-a-test"));
	TRY(sem_open("/semaphore-of-a-test", O_CREAT, 0600, 1) == SEM_FAILED ? -1 : 0);
	TRY(sem_unlink("/semaphore-of-a-test"));
	TRY(clock_getres(CLOCK_PROCESS_CPUTIME_ID, &t));
	TRY(getrandom(&t, sizeof t, 0));
	TRY(socket(AF_INET6, SOCK_DGRAM, 0));
	TRY(mlock(arguments, sizeof arguments));
	TRY(madvise(mmap(0, 1 << 21, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 21, MADV_HUGEPAGE));
	TRY(-posix_spawnp(&pid, "true", 0, 0, arguments, environ));
	TRY(waitpid(pid, &status, 0));
	printf("%d\n", status);
	return 0;
}
END
cat >Makefile <<'END'
CFLAGS = -O2 -g -Wall
LDLIBS = -pthread -lrt
program: main.o sum.o libsum.so
	$(CC) $(CFLAGS) -o $@ main.o sum.o $(LDLIBS)
libsum.so: sum.c sum.h
	$(CC) $(CFLAGS) -shared -fPIC -flto -o $@ sum.c -pthread
main.o sum.o: sum.h
.PHONY: clean
clean:
	rm -f *.o *.so program
END
make -j2 -s && ./program && make -s clean && make -s CFLAGS='-O0 -pipe -fsanitize=undefined' && ./program | head -n 1
gcc -save-temps -c sum.c && ls sum.*; ar rc libsum.a sum.o && ranlib libsum.a && nm libsum.a | grep -c ' T sum'
gcc -fprofile-arcs -ftest-coverage -o covered main.c sum.c -pthread -lrt && ./covered >/dev/null && gcov -n covered-sum.gcda | grep -c executed
