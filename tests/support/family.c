// SPDX-License-Identifier: Apache-2.0
/* Does what its arguments say, one word after the other, in the process that each leads to:
 *   call N      asks for the process group of N, a system call that tests hook
 *   fork        goes on in a child, for which the parent waits
 *   orphan      goes on in a child, once the parent is gone
 *   exec PATH   goes on in that program
 *   wait PATH   until there is such a file
 *   uts, net    enters a new namespace
 *   drop N      gives up an effective capability
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int drop(int number)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return 1;
	data[number / 32].effective &= ~(1U << number % 32);
	return syscall(SYS_capset, &header, data) != 0;
}

/* Returns in the process that goes on. */
static void leave(int is_orphan)
{
	pid_t parent = getpid();
	pid_t child = fork();
	int status = 1 << 8;

	if (child < 0)
		exit(4);
	if (child && is_orphan)
		_exit(0);
	if (child) {
		waitpid(child, &status, 0);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 5);
	}
	while (is_orphan && getppid() == parent)
		usleep(1000);
}

int main(int count, char **words)
{
	for (int at = 1; at < count; at++) {
		const char *word = words[at];

		if (!strcmp(word, "call")) {
			syscall(SYS_getpgid, atoi(words[++at]));
		} else if (!strcmp(word, "fork") || !strcmp(word, "orphan")) {
			leave(word[0] == 'o');
		} else if (!strcmp(word, "exec")) {
			words[at + 1] = strdup(words[at + 1]);
			execv(words[at + 1], &words[at + 1]);
			return 2;
		} else if (!strcmp(word, "wait")) {
			while (access(words[at + 1], F_OK))
				usleep(1000);
			at++;
		} else if (!strcmp(word, "uts") || !strcmp(word, "net")) {
			if (unshare(word[0] == 'u' ? CLONE_NEWUTS : CLONE_NEWNET))
				return 3;
		} else if (!strcmp(word, "drop")) {
			if (drop(atoi(words[++at])))
				return 6;
		}
	}
	return 0;
}
