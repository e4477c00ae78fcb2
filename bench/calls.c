// SPDX-License-Identifier: Apache-2.0
/*
 * System calls for policies to look at, and how long they took.
 *
 *	calls pread FILE COUNT      reads the first byte of a file
 *	calls getpgid NUMBER COUNT  asks for the process group of a process
 *
 * Prints ns=NANOSECONDS, on the clock that a deterministic guest counts its instructions with.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main(int count, char **words)
{
	long number, calls, started, at;
	char byte;

	if (count != 4)
		return 2;
	calls = atol(words[3]);
	if (!strcmp(words[1], "pread")) {
		number = open(words[2], O_RDONLY);
		if (number < 0)
			return 1;
		started = now();
		for (at = 0; at < calls; at++)
			syscall(SYS_pread64, number, &byte, 1L, 0L);
	} else {
		number = atol(words[2]);
		started = now();
		for (at = 0; at < calls; at++)
			syscall(SYS_getpgid, number);
	}
	printf("ns=%ld\n", now() - started);
	return 0;
}
