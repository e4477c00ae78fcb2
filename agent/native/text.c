/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that a process chose, up to 256 KiB of them in one exec. Python is slow where their bytes
 * or characters are what it does not expect, so whoever knows what that is makes it work. Here each
 * byte takes the same few instructions, whatever it and those around it are: nothing is jumped over
 * or to by what a text holds, since a jump that the processor cannot foresee costs as much as 20
 * instructions.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 256 /* bytes that are looked at together, by vector instructions */
#define AFTER 3	  /* bytes that may belong to a character behind its first one */

/* The size of the character that begins with a byte; 0 if none does (Unicode, table 3-7). */
static inline uint8_t character(uint8_t first, uint8_t second, uint8_t third, uint8_t fourth)
{
	uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	uint8_t two = (second >= low) & (second <= high);
	uint8_t three = two & ((third & 0xc0) == 0x80);
	uint8_t four = three & ((fourth & 0xc0) == 0x80);

	return first < 0x80			   ? 1
	       : (first >= 0xc2) & (first < 0xe0)  ? 2 * two
	       : (first >= 0xe0) & (first < 0xf0)  ? 3 * three
	       : (first >= 0xf0) & (first <= 0xf4) ? 4 * four
						   : 0;
}

/* Writes UTF-8 as UTF-16, with one U+FFFD for each run of bytes that are none; returns how many
 * units that are, at most one for each byte. UTF-16, because Python reads that faster.
 *
 * Each byte makes one unit or none: the first of a character makes it, the second of one of four
 * bytes the second half, the first of a wrong run the mark.
 */
size_t repair_utf8(const uint8_t *text, size_t size, uint16_t *out)
{
	uint8_t bytes[BLOCK + 2 * AFTER] = { 0 }; /* of the block, and those around it */
	uint8_t sizes[BLOCK + AFTER] = { 0 }; /* of the characters that begin there */
	uint8_t wrong[BLOCK + 1] = { 0 };
	uint8_t shown[BLOCK];
	uint16_t units[BLOCK];
	uint16_t *to = out;
	size_t done, i;

	for (done = 0; done < size; done += BLOCK) {
		size_t here = size - done < BLOCK ? size - done : BLOCK;
		size_t more = size - done < BLOCK + AFTER ? size - done : BLOCK + AFTER;
		const uint8_t *b = bytes + AFTER;
		uint8_t *s = sizes + AFTER;
		uint8_t *w = wrong + 1;

		memcpy(bytes + AFTER, text + done, more);
		memset(bytes + AFTER + more, 0, BLOCK + AFTER - more);
		for (i = 0; i < BLOCK; i++)
			s[i] = character(b[i], b[i + 1], b[i + 2], b[i + 3]);
		for (i = 0; i < BLOCK; i++)
			w[i] = !(s[i] | (sizes[i + 2] > 1) | (sizes[i + 1] > 2) | (sizes[i] > 3));
		for (i = 0; i < BLOCK; i++)
			shown[i] = (s[i] != 0) | (sizes[i + 2] == 4) | (w[i] & !wrong[i]);
		for (i = 0; i < BLOCK; i++) {
			uint16_t first = b[i], second = b[i + 1] & 0x3f, third = b[i + 2] & 0x3f;
			uint16_t two = (first & 0x1f) << 6 | second;
			uint16_t three = first << 12 | second << 6 | third;
			uint16_t four = 0xd7c0 + ((first & 7) << 8 | second << 2 | third >> 4);
			uint16_t half = 0xdc00 | (second & 0xf) << 6 | third; /* behind the first */
			uint16_t kind = s[i], before = sizes[i + 2];

			units[i] = kind == 1	 ? first
				   : kind == 2	 ? two
				   : kind == 3	 ? three
				   : kind == 4	 ? four
				   : before == 4 ? half
						 : 0xfffd;
		}
		for (i = 0; i < here; i++) {
			*to = units[i];
			to += shown[i];
		}
		memcpy(sizes, sizes + BLOCK, AFTER);
		wrong[0] = wrong[BLOCK];
	}
	return to - out;
}

/* Whether one of eight bytes equals the byte that `all` has eight times. */
static inline int has(uint64_t word, uint64_t all)
{
	word ^= all;
	return ((word - 0x0101010101010101) & ~word & 0x8080808080808080) != 0;
}

static inline uint64_t eight(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Writes arguments, between which there is a zero byte, as one text: a space between them, and
 * those that have a space or are empty in quotes, the first of these behind a space. Returns its
 * size, at most three times the arguments' and three. `quoted` has room for one byte more than the
 * arguments.
 */
size_t join_arguments(const uint8_t *arguments, size_t size, uint8_t *quoted, uint8_t *out)
{
	uint8_t space = 0, *to = out;
	size_t at = 0, i = 0;

	quoted[0] = 1;
	while (i < size) {
		uint8_t end = arguments[i] == 0;

		if (size - i >= 8 && !has(eight(arguments + i), 0) &&
		    !has(eight(arguments + i), 0x2020202020202020)) {
			quoted[at] = space;
			i += 8;
			continue;
		}
		at += end;
		space = (space | (arguments[i] == ' ')) & (end - 1);
		quoted[at] = end | space;
		i++;
	}
	*to = ' ';
	to += *quoted;
	*to = '"';
	to += *quoted;
	i = 0;
	while (i < size) {
		uint8_t end = arguments[i] == 0;

		if (size - i >= 8 && !has(eight(arguments + i), 0)) {
			memcpy(to, arguments + i, 8);
			to += 8;
			i += 8;
			continue;
		}
		*to = '"';
		to += end & *quoted;
		*to++ = end ? ' ' : arguments[i];
		quoted += end;
		*to = '"';
		to += end & *quoted;
		i++;
	}
	*to = '"';
	to += *quoted;
	return to - out;
}

/* Whether nothing in a text of UTF-16 is hidden from who looks at it. `seen` has a bit for each
 * character below `limit`; those from there on are not seen.
 */
size_t is_seen(const uint16_t *units, size_t size, const uint8_t *seen, uint32_t limit)
{
	size_t done, i;

	for (done = 0; done < size; done += BLOCK) {
		size_t here = size - done < BLOCK ? size - done : BLOCK;
		const uint16_t *u = units + done;
		uint16_t odd = 0;

		for (i = 0; i < here; i++)
			odd |= ((u[i] < 0x20) | (u[i] > 0x7e)) & (u[i] != 0xfffd);
		for (i = 0; odd && i < here; i++) {
			uint32_t code = u[i];

			if ((code & 0xfc00) == 0xd800 && done + i + 1 < size &&
			    (u[i + 1] & 0xfc00) == 0xdc00)
				code = 0x10000 + ((code & 0x3ff) << 10) + (u[++i] & 0x3ff);
			if (code >= limit || !(seen[code >> 3] >> (code & 7) & 1))
				return 0;
		}
		done += i > here; /* the second half of the block's last character */
	}
	return 1;
}

/* Writes JSON in UTF-16 as ASCII: all that is no printable ASCII as \\u and digits, but control
 * characters, which only stand between strings. Returns its bytes; there has to be room for six for
 * each unit, and two more.
 */
size_t escape_json(const uint16_t *units, size_t size, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = out;
	size_t i;

	for (i = 0; i < size; i++) {
		uint16_t unit = units[i];
		uint8_t escaped[8] = { '\\',
				       'u',
				       digits[unit >> 12],
				       digits[unit >> 8 & 15],
				       digits[unit >> 4 & 15],
				       digits[unit & 15] };
		int plain = unit < 0x7f;

		escaped[0] = plain ? unit : '\\';
		memcpy(to, escaped, sizeof(escaped));
		to += plain ? 1 : 6;
	}
	return to - out;
}
