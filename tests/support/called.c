// SPDX-License-Identifier: Apache-2.0
/* Calls a function once for each line of standard input: NUMBER SMALL WIDE ID TEXT, the text in
 * hexadecimal digits; a dash is a pointer to nothing that can be read. Tests hook that function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 8192

__attribute__((noinline)) long called(int number, unsigned char small, long long wide,
				      const char *text, unsigned long id)
{
	/* Keeps all arguments, and the call itself. */
	__asm__ volatile("" : : "r"(number), "r"(small), "r"(wide), "r"(text), "r"(id) : "memory");
	return (long)id % 7 - 3;
}

/* Returns its text. */
__attribute__((noinline)) const char *named(const char *text, unsigned long size, unsigned long id)
{
	__asm__ volatile("" : : "r"(size), "r"(id) : "memory");
	return text;
}

/* Gets the second and the third number as sets. */
__attribute__((noinline)) void sets(const unsigned long long *first,
				    const unsigned long long *second, unsigned long id)
{
	__asm__ volatile("" : : "r"(first), "r"(second), "r"(id) : "memory");
}

int main(void)
{
	static char line[2 * LONGEST + 100], hex[2 * LONGEST + 1], text[LONGEST + 1];
	unsigned int small;
	unsigned long id;
	long long wide;
	int number;

	while (fgets(line, sizeof(line), stdin)) {
		size_t length;

		hex[0] = 0;
		if (sscanf(line, "%d %u %lld %lu %16384s", &number, &small, &wide, &id, hex) < 4)
			return 1;
		length = strlen(hex) / 2;
		for (size_t at = 0; at < length; at++) {
			char digits[3] = { hex[2 * at], hex[2 * at + 1], 0 };

			text[at] = (char)strtoul(digits, 0, 16);
		}
		text[length] = 0;
		unsigned long long first = small, second = (unsigned long long)wide;

		sets(&first, &second, id);
		const char *given = hex[0] == '-' ? (const char *)8 : text;

		called(number, (unsigned char)small, wide, given, id);
		/* What the result is does not matter, but that there is one. */
		given = named(given, length, id);
		__asm__ volatile("" : : "r"(given));
	}
	return 0;
}
