/* SPDX-License-Identifier: GPL-2.0-only */
/* What the words of the actor do: threads, images, children. */
#ifndef TETRAPY_TEST_ACTOR_H
#define TETRAPY_TEST_ACTOR_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *tag;

static void act(char **words);

static void fail(const char *what)
{
	fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static char *next(char ***words)
{
	if (!**words) {
		fprintf(stderr, "actor: a word is missing\n");
		_exit(98);
	}
	return *(*words)++;
}

static long number(char ***words)
{
	return strtol(next(words), NULL, 0);
}

static void wait_all(void)
{
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

/* --- threads --------------------------------------------------------------------------- */

static pthread_barrier_t barrier;

static void *park(void *unused)
{
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return unused;
}

static void *act_in_thread(void *words)
{
	act(words);
	return NULL;
}

static void *act_at_once(void *words)
{
	pthread_barrier_wait(&barrier);
	act(words);
	return NULL;
}

static char leader_state(void)
{
	char path[64], line[512];
	FILE *file;
	char state = '?';

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	file = fopen(path, "r");
	if (!file)
		fail(path);
	if (fgets(line, sizeof(line), file) && strrchr(line, ')'))
		state = strrchr(line, ')')[2];
	fclose(file);
	return state;
}

static void *act_without_leader(void *words)
{
	while (leader_state() != 'Z')
		usleep(1000);
	act(words);
	return NULL;
}

static void start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument))
		fail("pthread_create");
}

/* `count` threads and the leader go on at the same moment. */
static void race(long count, char **words)
{
	long i;

	pthread_barrier_init(&barrier, NULL, count + 1);
	for (i = 0; i < count; i++)
		start_thread(act_at_once, words);
	act_at_once(words);
}

/* --- images ---------------------------------------------------------------------------- */

static void run_fd(int fd, char **argv, int flags)
{
	syscall(SYS_execveat, fd, "", argv, environ, flags | AT_EMPTY_PATH);
	fail("execveat");
}

static void run_memfd(const char *path, char **argv)
{
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to = syscall(SYS_memfd_create, "actor image", 1 /* MFD_CLOEXEC */);
	char buffer[65536];
	ssize_t size;

	if (from < 0 || to < 0)
		fail("memfd");
	while ((size = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, size) != size)
			fail("write");
	run_fd(to, argv, 0);
}

/* `count` arguments of `size` bytes each, after the words that end it. */
static void run_big(const char *path, long count, long size)
{
	char **argv = calloc(count + 5, sizeof(*argv));
	long i;

	argv[0] = (char *)path;
	argv[1] = (char *)tag;
	argv[2] = "exit";
	argv[3] = "0";
	for (i = 0; i < count; i++) {
		argv[i + 4] = malloc(size + 1);
		memset(argv[i + 4], 'a' + i % 26, size);
		argv[i + 4][size] = 0;
	}
	execv(path, argv);
	fail(path);
}

/* --- children -------------------------------------------------------------------------- */

static void fork_and(char **words)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (!child) {
		act(words);
		_exit(0);
	}
}

static pid_t clone_with(unsigned long flags, int pid)
{
	int wanted[1] = { pid };
	struct {
		__u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		__u64 set_tid, set_tid_size;
	} args = { .flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };

	if (pid) {
		args.set_tid = (unsigned long)wanted;
		args.set_tid_size = 1;
	}
	return syscall(SYS_clone3, &args, sizeof(args));
}

static void clone_and(unsigned long flags, int pid, char **words)
{
	pid_t child = clone_with(flags, pid);

	if (child < 0)
		fail("clone3");
	if (!child) {
		act(words);
		_exit(0);
	}
}

/* `count` children, one after the other, each of which executes `path`, also on another CPU. */
static void storm(long count, const char *path, int hop)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long i;

	for (i = 0; i < count; i++) {
		char index[32];
		pid_t child = fork();

		if (child < 0)
			fail("fork");
		if (!child) {
			snprintf(index, sizeof(index), "%ld", i);
			if (hop)
				pin(i % cpus);
			execl(path, path, tag, "exit", "0", index, NULL);
			fail(path);
		}
		waitpid(child, NULL, 0);
	}
}

/* Executes itself until `count` is 0; each image forks a child that executes nothing. */
static void countdown(const char *path, long count)
{
	char left[32];
	pid_t child;

	if (!count)
		_exit(0);
	child = fork();
	if (!child)
		_exit(7);
	waitpid(child, NULL, 0);
	snprintf(left, sizeof(left), "%ld", count - 1);
	execl(path, path, tag, "countdown", path, left, NULL);
	fail(path);
}

#endif
