// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that does what its words say, one word after the other:
 *
 *	actor TAG WORD...
 *
 * TAG is for the test to find the process by. Each word does its work and goes on with the words
 * behind its arguments; the words that end the process are `exit`, `exec` and their like.
 */
#include "actor.h"

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
		} else if (is(word, "gone")) { /* PATH ARGUMENT...: a file without a name */
			int file = open(words[0], O_PATH | O_CLOEXEC);

			if (unlink(words[0]))
				fail("unlink");
			run_fd(file, words, 0);
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
		} else if (is(word, "race")) { /* COUNT: so many threads and the leader go on */
			long count = number(&words);

			race(count, words);
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
		} else if (is(word, "setresgid")) { /* REAL EFFECTIVE SAVED */
			long real = number(&words), effective = number(&words);

			if (setresgid(real, effective, number(&words)))
				fail("setresgid");
		} else if (is(word, "setresuid")) { /* REAL EFFECTIVE SAVED */
			long real = number(&words), effective = number(&words);

			if (setresuid(real, effective, number(&words)))
				fail("setresuid");
		} else if (is(word, "securebits")) {
			if (prctl(PR_SET_SECUREBITS, number(&words)))
				fail("securebits");
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
		} else if (is(word, "forks")) { /* COUNT: children that execute nothing */
			long count = number(&words);

			while (count--)
				if (!fork())
					_exit(0);
				else
					wait_all();
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
