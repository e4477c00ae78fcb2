/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf's messages on their way to Python, which wants warnings alone: of a large object there are
 * 8,000 others, and each would take thousands of instructions there.
 */
#include <stdarg.h>

#define WARNING 0 /* LIBBPF_WARN of enum libbpf_print_level */

typedef int print_function(int level, const char *format, va_list arguments);

static print_function *print;

/* A libbpf_print_fn_t. */
int pass_warning(int level, const char *format, va_list arguments)
{
	return level == WARNING && print ? print(level, format, arguments) : 0;
}

void pass_warnings_to(print_function *function)
{
	print = function;
}
