// SPDX-License-Identifier: Apache-2.0
// The executable's own part: starts the zip behind the program as `python3 -IS tetrapy.pyz` would,
// and gives ctypes the C functions that are linked in, since a static program loads no libraries.
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "start.h"
#include "linked.h" // struct linked { name, address } linked[]: sorted, written by the build

// The file that runs. It cannot be written to meanwhile, and stays what it is when its name is
// gone.
#define RUNNING "/proc/self/exe"

static const char *dl_error;

static int compare(const void *name, const void *row)
{
	return strcmp(name, ((const struct linked *)row)->name);
}

// In place of musl's, which only fail: the one library is the program, which is asked for by NULL.
void *dlopen(const char *file, int mode)
{
	(void)mode;
	if (!file)
		return (void *)linked;
	dl_error = "this tetrapy has its libraries inside and loads no others";
	return NULL;
}

void *dlsym(void *restrict library, const char *restrict name)
{
	(void)library;
	const struct linked *row = bsearch(name, linked, linked_count, sizeof(*linked), compare);
	if (row)
		return row->address;
	dl_error = "this tetrapy has no function of that name inside";
	return NULL;
}

int dlclose(void *library)
{
	(void)library;
	return 0;
}

char *dlerror(void)
{
	const char *error = dl_error;
	dl_error = NULL;
	return (char *)error;
}

int main(int argc, char **argv)
{
	// What the kernel executed: a shell may have been given any name for the first word.
	const char *name = (const char *)getauxval(AT_EXECFN);
	const char *archive = access(RUNNING, R_OK) ? name : RUNNING;
	if (!name || argc < 1)
		return 255;
	argv[0] = (char *)name;
	return run_archive(argc, argv, name, archive, archive);
}
