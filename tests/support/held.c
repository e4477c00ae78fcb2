// SPDX-License-Identifier: Apache-2.0
/* held THREADS TAG: so many threads wait in held(), which returns TAG, until standard input ends.
 * "ready" is written when all are in it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK 65536

static pthread_barrier_t all;
static int tag;

/* Waits for the end of standard input, as all of them do. */
__attribute__((noinline)) int held(int what)
{
	char byte;

	pthread_barrier_wait(&all);
	while (read(0, &byte, 1) > 0)
		;
	__asm__ volatile("" : : : "memory");
	return what;
}

static void *run(void *unused)
{
	held(tag);
	return unused;
}

int main(int count, char **words)
{
	int threads = count == 3 ? atoi(words[1]) : 0;
	pthread_t thread[threads + 1];
	pthread_attr_t small;
	int i;

	if (!threads)
		return 2;
	tag = atoi(words[2]);
	pthread_barrier_init(&all, 0, threads + 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], &small, run, 0))
			return 3;
	pthread_barrier_wait(&all);
	puts("ready");
	fflush(stdout);
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], 0);
}
