// SPDX-License-Identifier: Apache-2.0
/* Calls a function with each number of its arguments and the address of 1000, and prints what it
 * returns: the number and 1. Numbers from 100 on are for another function, which returns their
 * opposite. Policies have them return, or get, something else, or call a third one instead.
 */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) long asked(long number, const long *other)
{
	/* Keeps both arguments, and the call itself. */
	__asm__ volatile("" : "+r"(number) : "r"(other) : "memory");
	return number + 1;
}

__attribute__((noinline)) long asked_again(long number)
{
	__asm__ volatile("" : "+r"(number) : : "memory");
	return -number;
}

__attribute__((noinline, used)) long answered(long number)
{
	return 1000 * number;
}

int main(int argc, char **argv)
{
	long other = 1000;

	for (int i = 1; i < argc; i++) {
		long number = atol(argv[i]);

		printf("%ld\n", number < 100 ? asked(number, &other) : asked_again(number));
	}
	return 0;
}
