// SPDX-License-Identifier: Apache-2.0
/* Makes calls that are to fail, until SIGUSR1 comes and there were at least as many as its argument
 * says. Prints "begins", "enough" when there were, and at the end how many it made and how many of
 * them were let through.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = number;
}

int main(int argc, char **argv)
{
	unsigned long calls = 0, through = 0, least;
	pid_t pid = getpid();

	if (argc != 2)
		return 1;
	least = strtoul(argv[1], 0, 10);
	signal(SIGUSR1, stop);
	setvbuf(stdout, 0, _IOLBF, BUFSIZ);
	puts("begins");
	for (; !stopped || calls < least; calls++) {
		if (calls == least)
			puts("enough");
		through += getpgid(pid) >= 0;
	}
	printf("%lu %lu\n", calls, through);
	return 0;
}
