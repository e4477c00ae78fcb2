// SPDX-License-Identifier: Apache-2.0
/*
 * What an ordinary user can do to an observer of processes, bounded in count and time.
 *
 *	attack LOAD NAME=VALUE...
 *
 * LOAD is one of
 *	victim	executes `PROGRAM TAG-I` one after the other, MS milliseconds apart
 *	storm	PROCS processes execute PROGRAM, each as fast as it can
 *	parent	the same, but the long arguments are those of the process that does it
 *	chain	a line of DEPTH such processes, each the child of the one before; the last one
 *		storms
 *	keep	COUNT processes with long arguments, each of which leaves a child that waits
 *	forks	PROCS processes fork children that execute nothing
 *	ends	PROCS times COUNT children wait and end all at once, again and again
 *	threads	PROCS processes start threads as fast as they can
 *	calls	PROCS processes call getpgid(2) for FROM, FROM + 1, ..., each MS ms apart
 *	wait	does nothing until it is told to end
 *
 * and NAME one of those below. Started by root it enters the cgroup `enter` and becomes the user
 * `as` first. A load ends after SECONDS, after COUNT of what it does in each of its processes, or
 * with SIGTERM, whichever comes first; it prints `done=HOW_MANY`.
 */
#include "attack.h"

/* Executes the program as fast as it can. */
static void storm(long argument_bytes)
{
	static char *arguments[MOST], *environment[MOST];
	char first[64] = "";
	int at = 0;

	arguments[at++] = "attack";
	if (unique)
		arguments[at++] = first;
	fill_in(arguments, at, argument_bytes, "");
	fill_in(environment, 0, around, "VARIABLE=");
	if (deep)
		go_deep();
	const char *file = path ? written_path() : program;

	for (long own = 0; !over(own); own++) {
		snprintf(first, sizeof(first), "%d-%ld", getpid(), own);
		if (binaries)
			file = link_to_program(own);
		__sync_fetch_and_add(done, run_once(file, arguments, environment, own));
	}
}

static void fork_only(void)
{
	for (long own = 0; !over(own); own++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child > 0)
			waitpid(child, 0, 0);
		__sync_fetch_and_add(done, 1);
	}
}

static void end_at_once(void)
{
	while (!over(0)) {
		int gate[2];
		char byte;
		long born = 0;

		if (pipe(gate))
			fail("pipe");
		for (; born < count; born++) {
			pid_t child = fork();

			if (child < 0)
				break;
			if (child == 0) {
				close(gate[1]);
				_exit(read(gate[0], &byte, 1) != 0);
			}
		}
		close(gate[0]);
		close(gate[1]); /* now they end */
		while (wait(0) > 0 || errno == EINTR)
			;
		__sync_fetch_and_add(done, born);
	}
}

static void *nothing(void *unused)
{
	return unused;
}

static void start_threads(void)
{
	for (long own = 0; !over(own); own++) {
		pthread_t thread;

		if (!pthread_create(&thread, 0, nothing, 0))
			pthread_join(thread, 0);
		__sync_fetch_and_add(done, 1);
	}
}

/* A system call that does nothing, for a number that no process can have. */
static void call(void)
{
	for (long own = 0; !over(own); own++) {
		syscall(SYS_getpgid, from + own % 1000000);
		__sync_fetch_and_add(done, 1);
		if (ms)
			usleep((useconds_t)(ms * 1000));
	}
}

static void in_all(void (*what)(void))
{
	for (long number = 0; number < procs; number++)
		if (fork() == 0) {
			what();
			_exit(0);
		}
	while (wait(0) > 0 || errno == EINTR)
		;
}

static void storm_with_long(void)
{
	storm(bytes);
}

static void storm_with_short(void)
{
	storm(0);
}

/* Executes this program again: `load`, the options, and behind `--` the long arguments. */
static void become(const char *load, long left)
{
	static char *arguments[MOST];
	static char text[12][4200];
	char *environment[] = { 0 };
	int at = 0;

	arguments[at++] = "attack";
	arguments[at++] = (char *)load;
	const struct {
		const char *name;
		long value;
	} numbers[] = { { "seconds", seconds }, { "count", count }, { "procs", procs },
			{ "bytes", bytes },	{ "depth", left },  { "unique", unique } };
	for (size_t index = 0; index < sizeof(numbers) / sizeof(*numbers); index++) {
		snprintf(text[index], sizeof(text[index]), "%s=%ld", numbers[index].name,
			 numbers[index].value);
		arguments[at++] = text[index];
	}
	snprintf(text[8], sizeof(text[8]), "program=%s", program);
	snprintf(text[9], sizeof(text[9]), "fill=%s", fill);
	arguments[at++] = text[8];
	arguments[at++] = text[9];
	arguments[at++] = "--";
	fill_in(arguments, at, bytes, "");
	execve("/proc/self/exe", arguments, environment);
	fail("/proc/self/exe");
}

static void chain(void)
{
	pid_t child;

	if (depth <= 1) {
		in_all(storm_with_short);
		return;
	}
	child = fork();
	if (child == 0)
		become("chain", depth - 1);
	while (waitpid(child, 0, 0) < 0 && errno == EINTR)
		;
}

/* What this program does under the name `wait`, whatever its arguments are. */
static _Noreturn void wait_for_end(void)
{
	signal(SIGTERM, SIG_DFL);
	alarm(120);
	for (;;)
		pause();
}

/* One of those that `keep` makes: leaves a child behind. */
static void leave_child(void)
{
	if (fork() == 0) {
		char *arguments[] = { "wait", 0 }, *environment[] = { 0 };

		execve("/proc/self/exe", arguments, environment);
		_exit(127);
	}
	_exit(0);
}

static void keep(void)
{
	if (deep)
		go_deep();
	for (long own = 0; !over(own); own++) {
		pid_t child = fork();

		if (child == 0)
			become("kept", 1);
		if (child > 0)
			waitpid(child, 0, 0);
		__sync_fetch_and_add(done, 1);
	}
	while (!over(0))
		usleep(20000);
}

static void victim(void)
{
	char name[300], *arguments[] = { "victim", name, 0 }, *environment[] = { 0 };

	for (long own = 0; own < count && !told_to_end; own++) {
		snprintf(name, sizeof(name), "%s-%ld", tag, own);
		*done += run_once(program, arguments, environment, own);
		usleep((useconds_t)(ms * 1000));
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	const char *load = argc > 1 ? argv[1] : "";
	int grown = 0;

	if (!strcmp(argv[0], "wait"))
		wait_for_end();
	for (int index = 2; index < argc && !grown; index++) {
		grown = !strcmp(argv[index], "--");
		if (!grown && !set(argv[index])) {
			fprintf(stderr, "attack: what is %s?\n", argv[index]);
			return 2;
		}
	}
	if (bytes > LIMIT || around > LIMIT || procs > 64 || seconds > 120)
		return 2;
	sigaction(SIGTERM, &action, 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	done = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (*enter)
		enter_cgroup(enter);
	if (as && !uids && (setgroups(0, 0) || setgid((gid_t)as) || setuid((uid_t)as)))
		fail("setuid");
	if (uids)
		into_user_namespace();
	if (!strcmp(load, "victim"))
		victim();
	else if (!strcmp(load, "storm"))
		in_all(storm_with_long);
	else if (!strcmp(load, "parent") || !strcmp(load, "chain")) {
		if (!grown)
			become(load, depth);
		chain();
	} else if (!strcmp(load, "keep"))
		keep();
	else if (!strcmp(load, "kept"))
		leave_child();
	else if (!strcmp(load, "forks"))
		in_all(fork_only);
	else if (!strcmp(load, "ends"))
		in_all(end_at_once);
	else if (!strcmp(load, "threads"))
		in_all(start_threads);
	else if (!strcmp(load, "calls"))
		in_all(call);
	else {
		fprintf(stderr, "attack: what is %s?\n", load);
		return 2;
	}
	printf("done=%ld\n", *done);
	return 0;
}
