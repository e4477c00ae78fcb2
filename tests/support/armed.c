// SPDX-License-Identifier: Apache-2.0
/* armed NUMBER DIRECTORY GONE HELD HOW: asks for the process group of NUMBER, which a policy waits
 * for; then GONE threads do so, one after the other, and HELD threads that wait until standard
 * input has a line. "ready N" is written before, N being the signals (SIGUSR1) that were heard.
 * Then removes DIRECTORY, and writes errno.
 *
 * HOW: `self`, or `exec`: another thread than the first asks, and executes this program, which
 * removes the directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK 32768

static pthread_barrier_t all;
static int number, heard;
static char **arguments;

static void hear(int signal)
{
	(void)signal;
	__sync_fetch_and_add(&heard, 1);
}

static void *ask(void *unused)
{
	syscall(SYS_getpgid, number);
	return unused;
}

static void *ask_and_wait(void *unused)
{
	ask(0);
	pthread_barrier_wait(&all);
	for (;;)
		pause();
	return unused;
}

static void *ask_and_execute(void *unused)
{
	ask(0);
	arguments[1] = "0";
	arguments[5] = "self";
	execv(arguments[0], arguments);
	return unused;
}

int main(int count, char **words)
{
	pthread_attr_t small;
	pthread_t thread;
	int gone, held, i;

	if (count != 6)
		return 2;
	arguments = words;
	number = atoi(words[1]);
	gone = atoi(words[3]);
	held = atoi(words[4]);
	signal(SIGUSR1, hear);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	if (!strcmp(words[5], "exec")) {
		pthread_create(&thread, &small, ask_and_execute, 0);
		pause();
	}
	ask(0);
	for (i = 0; i < gone; i++)
		if (pthread_create(&thread, &small, ask, 0) || pthread_join(thread, 0))
			return 3;
	pthread_barrier_init(&all, 0, held + 1);
	for (i = 0; i < held; i++)
		if (pthread_create(&thread, &small, ask_and_wait, 0))
			return 4;
	pthread_barrier_wait(&all);
	printf("ready %d\n", heard);
	fflush(stdout);
	while (read(0, &(char){ 0 }, 1) < 0 && errno == EINTR)
		;
	printf("%d\n", rmdir(words[2]) ? errno : 0);
	return 0;
}
