/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loads of attack.c have in common: the numbers and texts that they are given, what they
 * execute, and as whom. No header for others: everything is here once, for one program.
 */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LONGEST = 131000, /* bytes of one argument; the kernel takes 128 KiB */
	MOST = 300000, /* arguments of one execution */
	LIMIT = 1 << 20,  /* of all text of one execution */
	FIRST_UID = 100000,
};

static long seconds = 10, count = 1 << 20, procs = 1, ms = 10, depth = 1;
static long bytes;   /* of arguments, made of the bytes `fill` */
static long around;  /* bytes of environment, made of the same */
static long deep;    /* bytes of the working directory, which is made below `place` */
static long path;    /* bytes of the program's path as it is written */
static long uids;    /* the children have so many uids in turns, in a user namespace */
static long cgroups; /* the children are in the cgroups `place`/0, /1, ... in turns */
static long binaries; /* so many links to the program, with long names, are executed in turns */
static long unique;  /* the first argument is another one each time */
static long from; /* number of the first call */
static const char *fill = "41", *program = "", *tag = "", *place = "", *enter = "";
static long as; /* uid and gid */

static volatile sig_atomic_t told_to_end;
static long *done; /* shared with all children */
static struct timespec begin;

static void on_term(int signal_number)
{
	(void)signal_number;
	told_to_end = 1;
}

static int over(long own)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return told_to_end || own >= count || now.tv_sec - begin.tv_sec >= seconds;
}

static void fail(const char *what)
{
	fprintf(stderr, "attack: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* `wanted` bytes of the pattern `fill`, in strings that the kernel takes; a byte 00 ends one. */
static int fill_in(char **strings, int at, long wanted, const char *name)
{
	static unsigned char pattern[256];
	size_t length = 0, filled = 0;
	char *text = malloc((size_t)wanted + LIMIT);
	const char *from = fill;

	for (; from[0] && from[1] && length < sizeof(pattern); from += 2) {
		char digits[3] = { from[0], from[1], 0 };

		pattern[length++] = (unsigned char)strtol(digits, 0, 16);
	}
	for (long made = 0; made < wanted && at < MOST - 1;) {
		char *string = text + filled;
		long room = wanted - made > LONGEST ? LONGEST : wanted - made;
		int size = sprintf(string, "%s", name);

		for (; size < room; size++) {
			string[size] = (char)pattern[made++ % (long)length];
			if (!string[size])
				break;
		}
		string[size] = 0;
		if (size == (int)strlen(name))
			made++;
		strings[at++] = string;
		filled += (size_t)size + 1;
	}
	strings[at] = 0;
	return at;
}

/* The program's path, `path` bytes long by way of components that change nothing. */
static char *written_path(void)
{
	char *written = malloc((size_t)path + strlen(program) + 8);
	char *at = written;
	const char *name = strrchr(program, '/');

	at += sprintf(at, "%.*s", (int)(name - program), program);
	while (at - written + 2 + (long)strlen(name) < path)
		at += sprintf(at, "/.");
	sprintf(at, "%s", name);
	return written;
}

/* One of `binaries` paths of the program, made when it is asked for. */
static const char *link_to_program(long turn)
{
	static char link[600];
	int at = snprintf(link, sizeof(link), "%s/%ld-", place, turn % binaries);

	/* Four bytes each, in UTF-8 and in memory. */
	for (int count = 0; count < 50; count++)
		at += sprintf(link + at, "\xf0\x9f\x98\x80");
	if (turn < binaries && symlink(program, link) && errno != EEXIST)
		fail(link);
	return link;
}

static void go_deep(void)
{
	char name[251];

	if (chdir(place))
		fail(place);
	memset(name, 'd', 250);
	name[250] = 0;
	for (long length = (long)strlen(place); length < deep; length += 251) {
		mkdir(name, 0755);
		if (chdir(name))
			fail("a deep directory");
	}
}

static void enter_cgroup(const char *directory)
{
	char file[4096];

	snprintf(file, sizeof(file), "%s/cgroup.procs", directory);
	int descriptor = open(file, O_WRONLY);

	if (descriptor < 0 || write(descriptor, "0", 1) != 1)
		fail(file);
	close(descriptor);
}

/* In the child: another cgroup, another uid. */
static void change(long turn)
{
	if (cgroups) {
		char directory[4000];

		snprintf(directory, sizeof(directory), "%s/%ld", place, turn % cgroups);
		enter_cgroup(directory);
	}
	if (uids && setuid((uid_t)(1 + turn % uids)))
		_exit(4);
}

static long run_once(const char *file, char **arguments, char **environment, long turn)
{
	int status = -1;
	/* A child that changes itself may not share its memory. */
	pid_t child = uids || cgroups ? fork() : vfork();

	if (child == 0) {
		if (uids || cgroups)
			change(turn);
		execve(file, arguments, environment);
		_exit(127);
	}
	if (child < 0)
		return 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* Root's child goes on in a user namespace of its own, in which uids and gids are those from
 * FIRST_UID on: what newuidmap(1) does for every user that /etc/subuid names. */
static void into_user_namespace(void)
{
	int ready[2], go[2];
	char byte = 0;

	if (pipe(ready) || pipe(go))
		fail("pipe");
	pid_t child = fork();

	if (child == 0) {
		/* Its owner is the user, as where he makes it himself. */
		if (setegid((gid_t)as) || seteuid((uid_t)as) || unshare(CLONE_NEWUSER))
			fail("unshare");
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(2);
		if (setgid(0) || setuid(0))
			fail("setuid");
		/* What undoes a setuid() program's right to send signals and read memory. */
		prctl(PR_SET_DUMPABLE, 1);
		return;
	}
	if (read(ready[0], &byte, 1) != 1)
		exit(2);
	for (int which = 0; which < 2; which++) {
		char file[64], map[64];

		snprintf(file, sizeof(file), "/proc/%d/%s", child, which ? "gid_map" : "uid_map");
		int size = snprintf(map, sizeof(map), "0 %d 65536", FIRST_UID);
		int descriptor = open(file, O_WRONLY);

		if (descriptor < 0 || write(descriptor, map, (size_t)size) != size)
			fail(file);
		close(descriptor);
	}
	if (write(go[1], &byte, 1) != 1)
		exit(2);
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

static int set(const char *word)
{
	static const struct {
		const char *name;
		long *number;
		const char **text;
	} names[] = {
		{ "seconds", &seconds, 0 }, { "count", &count, 0 },
		{ "procs", &procs, 0 },	    { "ms", &ms, 0 },
		{ "depth", &depth, 0 },	    { "bytes", &bytes, 0 },
		{ "env", &around, 0 },	    { "deep", &deep, 0 },
		{ "path", &path, 0 },	    { "uids", &uids, 0 },
		{ "cgroups", &cgroups, 0 }, { "unique", &unique, 0 },
		{ "from", &from, 0 },	    { "binaries", &binaries, 0 },
		{ "fill", 0, &fill },	    { "program", 0, &program },
		{ "tag", 0, &tag },	    { "place", 0, &place },
		{ "enter", 0, &enter },	    { "as", &as, 0 },
	};
	size_t length = strcspn(word, "=");

	for (size_t index = 0; word[length] && index < sizeof(names) / sizeof(*names); index++)
		if (strlen(names[index].name) == length &&
		    !strncmp(names[index].name, word, length)) {
			if (names[index].number)
				*names[index].number = atol(word + length + 1);
			else
				*names[index].text = word + length + 1;
			return 1;
		}
	return 0;
}
