/* N processes, each in eight namespaces of its own, until standard input ends; a byte on standard output when all are there. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 0;
    struct clone_args all = {
        .flags = CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWTIME |
                 CLONE_NEWNS,
        .exit_signal = SIGCHLD,
    };
    pid_t *children = calloc(count + 1, sizeof *children);
    for (int i = 0; i < count; i++) {
        children[i] = syscall(SYS_clone3, &all, sizeof all);
        if (children[i] < 0) {
            perror("clone3");
            return 1;
        }
        if (children[i] == 0) {
            /* Should its parent be killed, it ends, too. */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
    }
    char byte = 'x';
    if (write(1, &byte, 1) != 1)
        return 1;
    while (read(0, &byte, 1) > 0)
        ;
    for (int i = 0; i < count; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return 0;
}
