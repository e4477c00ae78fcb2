// SPDX-License-Identifier: Apache-2.0
/*
 * A process that does one known thing.
 *
 *	victim exit STATUS [ARGUMENT]...
 *	victim signal NUMBER
 *	victim exec PROGRAM [ARGUMENT]...	another image in the same process
 *	victim fork STATUS			a child exits with STATUS, without exec
 */

#include "syscalls.h"

static long number(const char *text)
{
	long value = 0;

	while (*text)
		value = value * 10 + *text++ - '0';
	return value;
}

/* stack: what the kernel leaves at the first instruction, argc, argv, a null pointer, the
 * environment */
__attribute__((used)) static void run(long *stack)
{
	char **argv = (char **)(stack + 1);
	char **environment = argv + stack[0] + 1;

	if (stack[0] < 3)
		leave(100);
	switch (argv[1][0] == 'e' ? argv[1][2] : argv[1][0]) {
	case 'i': /* exit */
		leave(number(argv[2]));
	case 's': /* signal */
		syscall5(NR_kill, syscall5(NR_getpid, 0, 0, 0, 0, 0), number(argv[2]), 0, 0, 0);
		break;
	case 'e': /* exec */
		syscall5(NR_execve, (long)argv[2], (long)(argv + 2), (long)environment, 0, 0);
		break;
	case 'f': /* fork */
		if (clone_process() == 0)
			leave(number(argv[2]));
		wait_for(-1, 0);
		leave(0);
	}
	leave(101);
}
