// SPDX-License-Identifier: Apache-2.0
/* Reaches static probes (USDT) with an argument in memory, for numbers from its arguments, and
 * prints what the memory has afterwards: of `place` 4 bytes at the register's address, of `table`
 * with an index, of `other` what no action may write: 2 bytes, and 4 in memory that is read-only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "probe_note.h"

__attribute__((noinline)) static void reach(int *place, const int *table, long index,
					    const int *constant)
{
#if defined(__x86_64__)
	__asm__ volatile(NOTE("place", "0", "-4@(%%rdi)") NOTE("table", "0", "-4@4(%%rsi,%%rdx,4)")
				 NOTE("short", "0", "-2@(%%rdi)")
					 NOTE("constant", "0", "-4@(%%rcx)")
			 :
			 : "D"(place), "S"(table), "d"(index), "c"(constant)
			 : "memory");
#else
	register int *first __asm__("x0") = place;
	register const int *second __asm__("x1") = table;
	register long third __asm__("x2") = 4 * index + 4;
	register const int *fourth __asm__("x3") = constant;

	__asm__ volatile(NOTE("place", "0", "-4@[x0]") NOTE("table", "0", "-4@[x1, x2]")
				 NOTE("short", "0", "-2@[x0]") NOTE("constant", "0", "-4@[x3]")
			 :
			 : "r"(first), "r"(second), "r"(third), "r"(fourth)
			 : "memory");
#endif
}

int main(int argc, char **argv)
{
	int *constant = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int table[] = { 40, 41, 42, 43 };
	int place;

	if (argc != 2 || constant == MAP_FAILED)
		return 1;
	place = *constant = atoi(argv[1]);
	table[2] = place;
	if (mprotect(constant, 4096, PROT_READ))
		return 1;
	reach(&place, table, 1, constant);
	printf("[%d, %d, %d]\n", place, table[2], *constant);
	return 0;
}
