/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that a process chose, of which every byte may be wrong: Python calls its error handler for
 * each, and takes 12 ms for the 256 KiB that one exec may have.
 */
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins here (Unicode, table 3-7); 0 if none does. */
static size_t character(const unsigned char *at, size_t left)
{
	unsigned char first = at[0], low = 0x80, high = 0xbf;
	size_t size, i;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (size > left)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (i = 2; i < size; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return size;
}

/* Copies a text as UTF-16 with one U+FFFD for each run of bytes that are no UTF-8; returns how many
 * units it wrote, at most one for each byte. UTF-16, because Python reads that faster.
 */
size_t repair_utf8(const unsigned char *text, size_t size, uint16_t *out)
{
	const unsigned char *at = text, *end = text + size;
	uint16_t *to = out;

	while (at < end) {
		size_t length;
		uint32_t code;

		if (*at < 0x80) {
			*to++ = *at++;
			continue;
		}
		length = character(at, end - at);
		if (!length) {
			*to++ = 0xfffd;
			do
				at++;
			while (at < end && *at >= 0x80 && !character(at, end - at));
			continue;
		}
		if (length == 2) {
			*to++ = (at[0] & 0x1f) << 6 | (at[1] & 0x3f);
		} else if (length == 3) {
			*to++ = (at[0] & 0x0f) << 12 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f);
		} else {
			code = (at[0] & 0x07) << 18 | (at[1] & 0x3f) << 12 | (at[2] & 0x3f) << 6 |
			       (at[3] & 0x3f);
			code -= 0x10000;
			*to++ = 0xd800 | code >> 10;
			*to++ = 0xdc00 | (code & 0x3ff);
		}
		at += length;
	}
	return to - out;
}
