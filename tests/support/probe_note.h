/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of static probes (USDT), written by hand, of one translation unit. */
/* Where a probe is, and what stands in its note. The semaphore is a symbol or 0. */
#define NOTE(name, semaphore, arguments)            \
	"990:	nop\n"                                \
	"	.pushsection .note.stapsdt,\"\",%%note\n" \
	"	.balign 4\n"                              \
	"	.4byte 992f-991f, 994f-993f, 3\n"         \
	"991:	.asciz \"stapsdt\"\n"                 \
	"992:	.balign 4\n"                          \
	"993:	.8byte 990b\n"                        \
	"	.8byte base_of_notes\n"                   \
	"	.8byte " semaphore "\n"             \
	"	.asciz \"tests\"\n"                       \
	"	.asciz \"" name "\"\n"              \
	"	.asciz \"" arguments "\"\n"         \
	"994:	.balign 4\n"                          \
	"	.popsection\n"

__asm__("	.pushsection .stapsdt.base,\"a\",%progbits\n"
	"	.hidden base_of_notes\n"
	"	.globl base_of_notes\n"
	"base_of_notes: .space 1\n"
	"	.popsection\n");
