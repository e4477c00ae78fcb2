// SPDX-License-Identifier: Apache-2.0
/* forge FILE N [by-another] [SECONDS]: has its /proc/PID/exe lead to FILE, which it never executed,
 * as who is capable in some user namespace may once nothing of the program is mapped any more. Then
 * it asks for the process group of N, and sleeps so many seconds.
 *
 * The namespace is its own, or with `by-another` that of a process that shares its memory, and
 * ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPPINGS 32
#define SIZE 65536
#define CODE 16384 /* where the code goes on */

struct job {
	unsigned long start[MAPPINGS], size[MAPPINGS];
	long count;
	long by_another;
	long number;
	long result;
	struct prctl_mm_map map;
	struct {
		long seconds, nanoseconds;
	} sleep;
};

static inline __attribute__((always_inline)) long call(long number, long a, long b, long c, long d)
{
#ifdef __x86_64__
	register long fourth __asm__("r10") = d;
	register long fifth __asm__("r8") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	return result;
#else
	register long result __asm__("x0") = a;
	register long second __asm__("x1") = b;
	register long third __asm__("x2") = c;
	register long fourth __asm__("x3") = d;
	register long fifth __asm__("x4") = 0;
	register long which __asm__("x8") = number;

	__asm__ volatile("svc 0"
			 : "+r"(result)
			 : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(which)
			 : "memory");
	return result;
#endif
}

/* Runs as a copy: it calls nothing of the program. */
__attribute__((noinline, no_sanitize("undefined"))) static void go_on(struct job *job)
{
	long child = 0;
	long i;

	for (i = 0; i < job->count; i++)
		call(SYS_munmap, job->start[i], job->size[i], 0, 0);
	if (job->by_another)
		child = call(SYS_clone, CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | SIGCHLD, 0, 0, 0);
	if (!child)
		job->result = call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&job->map,
				   sizeof(job->map));
	if (!child && job->by_another)
		call(SYS_exit, 0, 0, 0, 0);
	call(SYS_getpgid, job->number, 0, 0, 0);
	call(SYS_nanosleep, (long)&job->sleep, 0, 0, 0);
	call(SYS_exit_group, child < 0 ? 2 : job->result != 0, 0, 0, 0);
}

static void find_mappings(struct job *job)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char exe[4096], line[5000];
	unsigned long start, end;
	ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[length < 0 ? 0 : length] = 0;
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, exe) && sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    job->count < MAPPINGS) {
			job->start[job->count] = start;
			job->size[job->count++] = end - start;
		}
}

int main(int count, char **words)
{
	struct job *job = mmap(0, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long start = (unsigned long)job;
	int by_another = count > 3 && !strcmp(words[3], "by-another");

	if (count < 3 || job == MAP_FAILED || (!by_another && unshare(CLONE_NEWUSER))) {
		perror("forge");
		return 3;
	}
	job->number = atol(words[2]);
	job->by_another = by_another;
	job->sleep.seconds = count > 3 ? atol(words[count - 1]) : 0;
	job->map.start_code = start;
	job->map.end_code = job->map.start_data = start + 4096;
	job->map.end_data = start + 8192;
	job->map.start_brk = job->map.brk = start + SIZE;
	job->map.start_stack = (unsigned long)&count;
	job->map.arg_start = (unsigned long)words[0];
	job->map.arg_end = job->map.env_start = job->map.arg_start + strlen(words[0]) + 1;
	job->map.env_end = job->map.env_start + 1;
	job->map.exe_fd = open(words[1], O_RDONLY);
	memcpy((char *)job + CODE, (void *)go_on, 4096);
	__builtin___clear_cache((char *)job + CODE, (char *)job + CODE + 4096);
	find_mappings(job);
	((void (*)(struct job *))((char *)job + CODE))(job);
}
