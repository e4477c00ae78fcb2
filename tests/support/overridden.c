// SPDX-License-Identifier: Apache-2.0
/* Calls a function with each number of its arguments and the address of 1000, and prints what it
 * returns: the number and 1. Policies have it return, or get, something else.
 */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) long asked(long number, const long *other)
{
	/* Keeps both arguments, and the call itself. */
	__asm__ volatile("" : "+r"(number) : "r"(other) : "memory");
	return number + 1;
}

int main(int argc, char **argv)
{
	long other = 1000;

	for (int i = 1; i < argc; i++)
		printf("%ld\n", asked(atol(argv[i]), &other));
	return 0;
}
