// SPDX-License-Identifier: Apache-2.0
/* Reaches static probes (USDT) for its arguments NUMBER TEXT, with notes written by hand: operands
 * in registers, in memory with and without an index, and constants. Prints the semaphore of the
 * first, which counts who looks.
 */
#include <stdio.h>
#include <stdlib.h>

#include "probe_note.h"

/* In a page of its own: the kernel counts in the first mapping that has this place of the file, and
 * the linker may map a page twice.
 */
volatile unsigned short hit_semaphore __attribute__((section(".probes"), used, aligned(65536)));

__attribute__((noinline)) static void reach(int number, const char *text, const int *table,
					    long index)
{
#if defined(__x86_64__)
	__asm__ volatile(NOTE("hit", "hit_semaphore",
			      "-4@%%edi 8@%%rsi -4@4(%%rdx,%%rcx,4) -8@$-5 4@(%%rdx) 1@%%dil")
				 NOTE("twice", "0", "-4@%%edi") NOTE("twice", "0", "-4@$77")
					 NOTE("odd", "0", "8f@%%xmm0 4@table(%%rip)")
			 :
			 : "D"(number), "S"(text), "d"(table), "c"(index)
			 : "memory");
#else
	register long first __asm__("x0") = number;
	register const char *second __asm__("x1") = text;
	register const int *third __asm__("x2") = table;
	register long fourth __asm__("x3") = 4 * index + 4;

	__asm__ volatile(NOTE("hit", "hit_semaphore", "-4@x0 8@x1 -4@[x2, x3] -8@-5 4@[x2] 1@x0")
				 NOTE("twice", "0", "-4@x0") NOTE("twice", "0", "-4@77")
					 NOTE("odd", "0", "8f@d0 4@table")
			 :
			 : "r"(first), "r"(second), "r"(third), "r"(fourth)
			 : "memory");
#endif
}

int main(int argc, char **argv)
{
	int table[] = { 40, 41, -42, 43 };

	if (argc != 3)
		return 1;
	reach(atoi(argv[1]), argv[2], table, 1);
	printf("%u\n", (unsigned int)hit_semaphore);
	return 0;
}
