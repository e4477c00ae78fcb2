// SPDX-License-Identifier: Apache-2.0
/* Calls a function with what makes it hard to read, one case behind the other, each with a number.
 * With an argument it changes a text all the time while it is called with it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define KERNEL ((void *)0xffffffff81000000UL)
#define NOWHERE ((void *)8)
#define CALLS 500 /* with each text */

/* The size is that of the vector, and of the bytes. */
__attribute__((noinline)) void taken(const struct iovec *vector, const void *bytes,
				     const char *text, unsigned long size, unsigned long id)
{
	__asm__ volatile("" : : "r"(vector), "r"(bytes), "r"(text), "r"(size), "r"(id) : "memory");
}

static char changing[64] = "/tmp/one";

static void *change(void *unused)
{
	(void)unused;
	for (;;) {
		memcpy(changing, "/tmp/one", 9);
		__asm__ volatile("" : : : "memory");
		memcpy(changing, "/etc/another", 13);
		__asm__ volatile("" : : : "memory");
	}
	return 0;
}

static void called_while_it_changes(void)
{
	unsigned long seen[2] = { 0, 0 };
	pthread_t thread;

	pthread_create(&thread, 0, change, 0);
	for (unsigned long i = 0; seen[0] < CALLS || seen[1] < CALLS; i++) {
		seen[*(volatile char *)&changing[1] == 't']++;
		taken(0, changing, changing, 13, i);
		if (i % 16 == 0)
			sched_yield(); /* where there is one processor only */
	}
}

int main(int count, char **words)
{
	long page = sysconf(_SC_PAGESIZE);
	char *end = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec good[2] = { { "one", 3 }, { "two", 3 } };
	struct iovec half[2] = { { "one", 3 }, { NOWHERE, 5 } };
	struct iovec bad[2] = { { NOWHERE, 5 }, { NOWHERE, 5 } };
	struct iovec huge[2] = { { "one", 1UL << 63 }, { "two", 1UL << 63 } };
	struct iovec kernel[1] = { { KERNEL, 8 } };
	struct iovec *last;

	(void)words;
	if (count > 1) {
		called_while_it_changes();
		return 0;
	}
	end += page;
	munmap(end, page);
	last = (struct iovec *)end - 2;
	memcpy(last, good, sizeof(good));
	taken(good, "bytes", "text", 2, 0);
	taken(last, "bytes", "text", 1UL << 31, 1);
	taken(NOWHERE, "bytes", "text", 2, 2);
	taken(half, "bytes", "text", 2, 3);
	taken(bad, "bytes", "text", 2, 4);
	taken(huge, "bytes", "text", 2, 5);
	taken(kernel, "bytes", "text", 1, 6);
	memset(end - 8, 'x', 8);
	taken(good, "bytes", end - 8, 2, 7);
	taken(good, "bytes", KERNEL, 2, 8);
	taken(good, end - 1, "text", 2, 9);
	taken(good, KERNEL, "text", 2, 10);
	taken(last, end - 8, "text", ~0UL, 11);
	taken(NOWHERE, NOWHERE, "text", 0, 12);
	return 0;
}
