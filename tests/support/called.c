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
		called(number, (unsigned char)small, wide, hex[0] == '-' ? (const char *)8 : text,
		       id);
	}
	return 0;
}
