// SPDX-License-Identifier: Apache-2.0
/*
 * Processes for an agent to tell about, and how long they took.
 *
 *	load COUNT WIDTH PROGRAM TAG
 *
 * forks, executes `PROGRAM TAG NUMBER` and waits, COUNT times, with up to WIDTH processes in
 * flight: 1 is one after the other, COUNT is a burst. Prints one line,
 *
 *	count=COUNT bad=HOW_MANY_DID_NOT_END_WITH_0 ns=NANOSECONDS
 *
 * on the clock that a deterministic guest counts its instructions with.
 */
#include "syscalls.h"

static unsigned long length_of(const char *text)
{
	unsigned long length = 0;

	while (text[length])
		length++;
	return length;
}

static char *put_text(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

/* Also ends the text with a zero byte, which a following put_text() overwrites. */
static char *put_number(char *at, unsigned long number)
{
	char digits[20];
	int count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (count)
		*at++ = digits[--count];
	*at = 0;
	return at;
}

static long to_number(const char *text)
{
	long number = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		number = number * 10 + (*text - '0');
	return *text ? 0 : number;
}

static _Noreturn void fail(const char *message)
{
	syscall5(NR_write, 2, (long)message, (long)length_of(message), 0, 0);
	leave(2);
}

static _Noreturn void become(char *program, char *tag, unsigned long index)
{
	char number[21];
	char *arguments[] = { program, tag, number, 0 };
	char *environment[] = { 0 };

	put_number(number, index);
	syscall5(NR_execve, (long)program, (long)arguments, (long)environment, 0, 0);
	leave(127);
}

/* Collects one child; 1 when it did not end with 0. */
static int collect(void)
{
	int status = -1;

	return wait_for(-1, &status) < 0 || status != 0;
}

_Noreturn void run(long *stack)
{
	char **arguments = (char **)(stack + 1);
	long count, width, started, index, in_flight = 0, bad = 0;
	char line[128], *end = line;

	if (stack[0] != 5)
		fail("usage: load COUNT WIDTH PROGRAM TAG\n");
	count = to_number(arguments[1]);
	width = to_number(arguments[2]);
	if (count < 1 || width < 1)
		fail("load: COUNT and WIDTH are numbers from 1 on\n");

	started = now();
	for (index = 0; index < count; index++) {
		long pid = clone_process();

		if (pid == 0)
			become(arguments[3], arguments[4], (unsigned long)index);
		if (pid < 0)
			bad++;
		else
			in_flight++;
		if (in_flight >= width) {
			bad += collect();
			in_flight--;
		}
	}
	for (; in_flight; in_flight--)
		bad += collect();

	end = put_number(put_text(end, "count="), (unsigned long)count);
	end = put_number(put_text(end, " bad="), (unsigned long)bad);
	end = put_number(put_text(end, " ns="), (unsigned long)(now() - started));
	end = put_text(end, "\n");
	syscall5(NR_write, 1, (long)line, end - line, 0, 0);
	leave(bad != 0);
}
