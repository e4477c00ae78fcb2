// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that does what its words say, one word after the other:
 *
 *	actor TAG WORD...
 *
 * TAG is for the test to find the process by. Each word does its work and goes on with the words
 * behind its arguments; the words that end the process are `exit`, `exec` and their like.
 */
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

/* `count` children, one after the other, each of which executes `path` on another CPU. */
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

static int is(const char *word, const char *name)
{
	return !strcmp(word, name);
}

static void act(char **words)
{
	while (*words) {
		const char *word = next(&words);

		if (is(word, "exit")) {
			_exit(number(&words));
		} else if (is(word, "kill")) { /* SIGNAL: of itself */
			long signal_number = number(&words);
			sigset_t all;

			sigfillset(&all);
			sigprocmask(SIG_UNBLOCK, &all, NULL);
			signal(signal_number, SIG_DFL);
			kill(getpid(), signal_number);
			for (;;)
				pause();
		} else if (is(word, "core")) { /* allow a core file */
			struct rlimit limit = { 1 << 20, 1 << 20 };

			if (setrlimit(RLIMIT_CORE, &limit))
				fail("setrlimit");
		} else if (is(word, "exec")) { /* PATH ARGUMENT... */
			execv(words[0], words);
			fail(words[0]);
		} else if (is(word, "execas")) { /* PATH ARGV0 ARGUMENT... */
			execv(words[0], words + 1);
			fail(words[0]);
		} else if (is(word, "memfd")) { /* PATH ARGUMENT... */
			run_memfd(words[0], words);
		} else if (is(word, "fexec")) { /* PATH ARGUMENT... */
			run_fd(open(words[0], O_PATH | O_CLOEXEC), words, 0);
		} else if (is(word, "execat")) { /* DIRECTORY NAME ARGUMENT... */
			int directory = open(next(&words), O_PATH | O_CLOEXEC);

			syscall(SYS_execveat, directory, words[0], words, environ, 0);
			fail("execveat");
		} else if (is(word, "argc0")) { /* PATH */
			char *none[] = { NULL };

			execve(words[0], none, environ);
			fail(words[0]);
		} else if (is(word, "big")) { /* PATH COUNT SIZE */
			const char *path = next(&words);
			long count = number(&words);

			run_big(path, count, number(&words));
		} else if (is(word,
			      "fork")) { /* a child that goes on; the parent waits and exits */
			fork_and(words);
			wait_all();
			_exit(0);
		} else if (is(word, "outlived")) { /* the child goes on when its parent is gone */
			pid_t parent = getpid();

			if (!fork()) {
				while (getppid() == parent)
					usleep(1000);
				continue;
			}
			_exit(0);
		} else if (is(word, "subreaper")) {
			prctl(PR_SET_CHILD_SUBREAPER, 1);
		} else if (is(word,
			      "sibling")) { /* CLONE_PARENT: the child is its maker's sibling */
			clone_and(CLONE_PARENT, 0, words);
			_exit(0);
		} else if (is(word, "clonepid")) { /* PID: a child with that pid goes on */
			long pid = number(&words);

			clone_and(0, pid, words);
			wait_all();
			_exit(0);
		} else if (is(word, "newpidns")) { /* a child, pid 1 of its namespace, goes on */
			clone_and(CLONE_NEWPID, 0, words);
			wait_all();
			_exit(0);
		} else if (is(word, "vfork")) { /* PATH ARGUMENT... */
			pid_t child = vfork();

			if (!child) {
				execv(words[0], words);
				_exit(97);
			}
			wait_all();
			_exit(0);
		} else if (is(word, "vforkexit")) { /* STATUS: a vfork without exec */
			long status = number(&words);
			pid_t child = vfork();

			if (!child)
				_exit(status);
			wait_all();
			_exit(0);
		} else if (is(word, "spawn")) { /* PATH ARGUMENT... */
			pid_t child;

			if (posix_spawn(&child, words[0], NULL, NULL, words, environ))
				fail("posix_spawn");
			wait_all();
			_exit(0);
		} else if (is(word, "threads")) { /* COUNT: parked ones */
			long count = number(&words);
			long i;

			pthread_barrier_init(&barrier, NULL, count + 1);
			for (i = 0; i < count; i++)
				start_thread(park, NULL);
			pthread_barrier_wait(&barrier);
		} else if (is(word, "thread")) { /* a thread goes on, the leader sleeps */
			start_thread(act_in_thread, words);
			for (;;)
				pause();
		} else if (is(word, "leaderexit")) { /* STATUS: a thread goes on when it is gone */
			long status = number(&words);

			start_thread(act_without_leader, words);
			syscall(SYS_exit, status);
		} else if (is(word, "threadexit")) { /* STATUS: of this thread only */
			syscall(SYS_exit, number(&words));
		} else if (is(word, "chdir")) {
			if (chdir(next(&words)))
				fail("chdir");
		} else if (is(word, "deeper")) { /* COUNT NAME: so many new directories down */
			long count = number(&words);
			const char *name = next(&words);

			while (count--)
				if ((mkdir(name, 0755) && errno != EEXIST) || chdir(name))
					fail("mkdir");
		} else if (is(word, "rmdir")) {
			if (rmdir(next(&words)))
				fail("rmdir");
		} else if (is(word, "chroot")) {
			if (chroot(next(&words)))
				fail("chroot");
		} else if (is(word, "setuid")) {
			if (setuid(number(&words)))
				fail("setuid");
		} else if (is(word, "seteuid")) {
			if (seteuid(number(&words)))
				fail("seteuid");
		} else if (is(word, "loginuid")) {
			const char *id = next(&words);
			int fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);

			if (fd < 0 || write(fd, id, strlen(id)) < 0)
				fail("loginuid");
			close(fd);
		} else if (is(word, "say")) { /* WORD: on standard output, before going on */
			const char *text = next(&words);

			if (write(1, text, strlen(text)) < 0 || write(1, "\n", 1) < 0)
				fail("say");
		} else if (is(word, "wait")) { /* for a byte or the end of standard input */
			char byte;

			if (read(0, &byte, 1) < 0)
				fail("read");
		} else if (is(word, "pause")) {
			for (;;)
				pause();
		} else if (is(word, "pin")) {
			pin(number(&words));
		} else if (is(word, "storm") || is(word, "hops")) { /* COUNT PATH */
			long count = number(&words);

			storm(count, next(&words), is(word, "hops"));
		} else if (is(word, "countdown")) { /* PATH COUNT */
			const char *path = next(&words);

			countdown(path, number(&words));
		} else {
			fprintf(stderr, "actor: what is %s?\n", word);
			_exit(98);
		}
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 0; /* executed without arguments on purpose */
	tag = argv[1];
	act(argv + 2);
	return 0;
}
