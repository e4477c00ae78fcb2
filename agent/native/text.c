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

/* Writes UTF-8 as UTF-32, with one U+FFFD for each run of bytes that are none; returns how many
 * characters that are, at most one for each byte. UTF-32, because Python reads that fastest.
 *
 * Each byte makes a character or none: the first of those that are one, and of a wrong run.
 */
size_t repair_utf8(const uint8_t *text, size_t size, uint32_t *out)
{
	uint8_t bytes[BLOCK + AFTER];  /* of the block, and those behind it */
	uint8_t sizes[AFTER + BLOCK] = { 0 }; /* of the characters that begin there, or in front */
	uint8_t wrong[1 + BLOCK] = { 0 };
	uint8_t shown[BLOCK];
	uint32_t codes[BLOCK];
	uint32_t *to = out;
	uint8_t longest;
	size_t done, i;

	for (done = 0; done < size; done += BLOCK) {
		size_t here = size - done < BLOCK ? size - done : BLOCK;
		size_t more = size - done < BLOCK + AFTER ? size - done : BLOCK + AFTER;
		const uint8_t *b = bytes;
		uint8_t *s = sizes + AFTER;
		uint8_t *w = wrong + 1;

		memcpy(bytes, text + done, more);
		memset(bytes + more, 0, sizeof(bytes) - more);
		longest = 0;
		for (i = 0; i < BLOCK; i++)
			s[i] = character(b[i], b[i + 1], b[i + 2], b[i + 3]);
		for (i = 0; i < BLOCK; i++)
			longest |= s[i];
		for (i = 0; i < BLOCK; i++)
			w[i] = !(s[i] | (sizes[i + 2] > 1) | (sizes[i + 1] > 2) | (sizes[i] > 3));
		for (i = 0; i < BLOCK; i++)
			shown[i] = (s[i] != 0) | (w[i] & !wrong[i]);
		for (i = 0; i < BLOCK; i++)
			codes[i] = s[i] ? b[i] : 0xfffd;
		for (i = 0; longest > 1 && i < BLOCK; i++) {
			uint16_t first = b[i], second = b[i + 1] & 0x3f, third = b[i + 2] & 0x3f;
			uint16_t two = (first & 0x1f) << 6 | second;
			uint16_t three = first << 12 | second << 6 | third;
			uint16_t kind = s[i], code = codes[i];

			codes[i] = kind == 2 ? two : kind == 3 ? three : code;
		}
		for (i = 0; longest > 3 && i < BLOCK; i++) {
			uint32_t four = (b[i] & 7) << 18 | (b[i + 1] & 0x3f) << 12 |
					(b[i + 2] & 0x3f) << 6 | (b[i + 3] & 0x3f);

			codes[i] = s[i] == 4 ? four : codes[i];
		}
		for (i = 0; i < here; i++) {
			*to = codes[i];
			to += shown[i];
		}
		memcpy(sizes, sizes + BLOCK, AFTER);
		wrong[0] = wrong[BLOCK];
	}
	return to - out;
}

#define PIECE 16 /* bytes without a zero byte among them that are copied together */

static inline int has_zero(const uint8_t *at)
{
	uint8_t found = 0;
	int i;

	for (i = 0; i < PIECE; i++)
		found |= at[i] == 0;
	return found;
}

/* Writes arguments, between which there is a zero byte, as one text: a space between them, and
 * those that have a space or are empty in quotes, the first of these behind a space. Returns its
 * size, at most three times the arguments' and three. `quoted` has room for one byte more than the
 * arguments.
 */
size_t join_arguments(const uint8_t *arguments, size_t size, uint8_t *quoted, uint8_t *out)
{
	uint8_t space = 0, *to = out;
	size_t at = 0, i = 0, piece;
	int j;

	quoted[0] = 1;
	while (i < size) {
		piece = size - i < PIECE ? size - i : PIECE;
		if (piece == PIECE && !has_zero(arguments + i)) {
			for (j = 0; j < PIECE; j++)
				space |= arguments[i + j] == ' ';
			quoted[at] = space;
			i += PIECE;
			continue;
		}
		for (; piece--; i++) {
			uint8_t end = arguments[i] == 0;

			at += end;
			space = (space | (arguments[i] == ' ')) & (end - 1);
			quoted[at] = end | space;
		}
	}
	*to = ' ';
	to += *quoted;
	*to = '"';
	to += *quoted;
	i = 0;
	while (i < size) {
		piece = size - i < PIECE ? size - i : PIECE;
		if (piece == PIECE && !has_zero(arguments + i)) {
			memcpy(to, arguments + i, PIECE);
			to += PIECE;
			i += PIECE;
			continue;
		}
		for (; piece--; i++) {
			uint8_t byte = arguments[i], end = byte == 0;

			*to = '"';
			to += end & quoted[0];
			*to++ = byte | end << 5; /* a space */
			quoted += end;
			*to = '"';
			to += end & quoted[0];
		}
	}
	*to = '"';
	to += *quoted;
	return to - out;
}

/* Whether nothing in a text of UTF-32 is hidden from who looks at it. `seen` has a bit for each
 * character below `limit`; those from there on are not seen.
 */
size_t is_seen(const uint32_t *codes, size_t size, const uint8_t *seen, uint32_t limit)
{
	size_t done, i;

	for (done = 0; done < size; done += BLOCK) {
		size_t here = size - done < BLOCK ? size - done : BLOCK;
		const uint32_t *c = codes + done;
		uint32_t odd = 0, hidden = 0;

		for (i = 0; i < here; i++)
			odd |= ((c[i] < 0x20) | (c[i] > 0x7e)) & (c[i] != 0xfffd);
		for (i = 0; odd && i < here; i++) {
			uint32_t code = c[i] < limit ? c[i] : 0; /* which is not seen */

			hidden |= ~(seen[code >> 3] >> (code & 7));
		}
		if (hidden & 1)
			return 0;
	}
	return 1;
}

/* Writes JSON in UTF-32 as ASCII: all that is no printable ASCII as \\u and digits, but control
 * characters, which only stand between strings. Returns its bytes; there has to be room for twelve
 * for each character.
 */
size_t escape_json(const uint32_t *codes, size_t size, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = out;
	size_t i;

	for (i = 0; i < size; i++) {
		uint32_t code = codes[i];
		uint32_t first = code > 0xffff ? 0xd7c0 + (code >> 10) : code;
		uint32_t second = 0xdc00 | (code & 0x3ff);
		uint8_t escaped[12] = {
			'\\',
			'u',
			digits[first >> 12 & 15],
			digits[first >> 8 & 15],
			digits[first >> 4 & 15],
			digits[first & 15],
			'\\',
			'u',
			digits[second >> 12 & 15],
			digits[second >> 8 & 15],
			digits[second >> 4 & 15],
			digits[second & 15],
		};

		escaped[0] = code < 0x7f ? code : '\\';
		memcpy(to, escaped, sizeof(escaped));
		to += code < 0x7f ? 1 : code > 0xffff ? 12 : 6;
	}
	return to - out;
}
