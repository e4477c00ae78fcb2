// SPDX-License-Identifier: Apache-2.0
// The executable's own part: starts the zip behind the program as `python3 -IS tetrapy.pyz` would,
// and gives ctypes the C functions that are linked in, since a static program loads no libraries.
#include "Python.h"
#include "pycore_initconfig.h"
#include "pycore_pathconfig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "linked.h" // struct linked { name, address } linked[]: sorted, written by the build

// The file that runs. It cannot be written to meanwhile, and stays what it is when its name is
// gone.
#define RUNNING "/proc/self/exe"

// What __main__ of a zip finds: runpy's work, without runpy.
static const char START[] = "import sys, zipimport\n"
			    "__loader__ = zipimport.zipimporter(sys.path[0])\n"
			    "exec(__loader__.get_code('__main__'))\n";

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

// In place of Python's search for its library, all of which is frozen.
PyStatus _PyConfig_InitPathConfig(PyConfig *config, int compute_path_config)
{
	(void)config;
	(void)compute_path_config;
	return _PyStatus_OK();
}

static void check(PyStatus status)
{
	if (PyStatus_Exception(status))
		Py_ExitStatusException(status);
}

int main(int argc, char **argv)
{
	// What the kernel executed: a shell may have been given any name for the first word.
	const char *name = (const char *)getauxval(AT_EXECFN);
	const char *archive = access(RUNNING, R_OK) ? name : RUNNING;
	if (!name || argc < 1)
		return 255;
	argv[0] = (char *)name;

	PyPreConfig before;
	PyPreConfig_InitIsolatedConfig(&before);
	before.utf8_mode = 1;
	check(Py_PreInitialize(&before));

	PyConfig config;
	PyConfig_InitIsolatedConfig(&config);
	config.install_signal_handlers = 1;
	config.parse_argv = 0;
	config.site_import = 0;
	config.write_bytecode = 0;
	config.pathconfig_warnings = 0;
	config.use_frozen_modules = 1;
	config.module_search_paths_set = 1;
	wchar_t *path = Py_DecodeLocale(archive, NULL);
	if (!path)
		return 255;
	check(PyConfig_SetBytesArgv(&config, argc, argv));
	check(PyConfig_SetBytesString(&config, &config.program_name, name));
	check(PyConfig_SetBytesString(&config, &config.executable, archive));
	check(PyConfig_SetBytesString(&config, &config.base_executable, archive));
	check(PyConfig_SetString(&config, &config.prefix, L""));
	check(PyConfig_SetString(&config, &config.exec_prefix, L""));
	check(PyConfig_SetString(&config, &config.base_prefix, L""));
	check(PyConfig_SetString(&config, &config.base_exec_prefix, L""));
	check(PyConfig_SetString(&config, &config.platlibdir, L"lib"));
	check(PyWideStringList_Append(&config.module_search_paths, path));
	check(Py_InitializeFromConfig(&config));
	PyConfig_Clear(&config);
	PyMem_RawFree(path);

	int failed = PyRun_SimpleStringFlags(START, NULL);
	return Py_FinalizeEx() < 0 || failed ? 255 : 0;
}
