// SPDX-License-Identifier: Apache-2.0
// A Python of musl that loads libraries, `musl_python FILE.pyz ARGUMENTS`, of the executable's
// parts: in place of tools/interpreter/main.c, which loads none. Options before the file are taken
// and not heeded: it is isolated anyway.
#include <sys/uio.h>
#include <unistd.h>

#include "start.h"

// Younger than the musl that runs it; nothing calls them.
ssize_t preadv2(int file, const struct iovec *parts, int count, off_t offset, int flags)
{
	(void)flags;
	return preadv(file, parts, count, offset);
}

ssize_t pwritev2(int file, const struct iovec *parts, int count, off_t offset, int flags)
{
	(void)flags;
	return pwritev(file, parts, count, offset);
}

int main(int argc, char **argv)
{
	char name[4096] = {};
	int at = 1;

	while (at < argc && argv[at][0] == '-')
		at++;
	if (at == argc || readlink("/proc/self/exe", name, sizeof(name) - 1) < 0)
		return 255;
	return run_archive(argc - at, argv + at, name, name, argv[at]);
}
