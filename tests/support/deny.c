// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a command for which the kernel refuses some system calls, as a container's seccomp profile
 * would have it:
 *
 *	deny ERRNO SYSCALL-NUMBER... -- COMMAND ARGUMENT...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LIMIT = 64 };

int main(int argc, char **argv)
{
	struct sock_filter code[LIMIT * 2 + 2];
	struct sock_fprog program = { .filter = code };
	unsigned int refusal = SECCOMP_RET_ERRNO | (argc > 1 ? atoi(argv[1]) : EPERM);
	int at = 2;

	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							   offsetof(struct seccomp_data, nr));
	for (; at < argc && at < LIMIT && strcmp(argv[at], "--"); at++) {
		unsigned int number = atoi(argv[at]);

		code[program.len++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
		code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refusal);
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (at + 1 >= argc) {
		fprintf(stderr, "usage: deny ERRNO SYSCALL-NUMBER... -- COMMAND...\n");
		return 98;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("deny: prctl");
		return 98;
	}
	execvp(argv[at + 1], argv + at + 1);
	perror(argv[at + 1]);
	return 98;
}
