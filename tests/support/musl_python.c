// SPDX-License-Identifier: Apache-2.0
// A Python of musl that loads libraries, `musl_python FILE.pyz ARGUMENTS`, of the executable's
// parts: in place of tools/interpreter/main.c, which loads none. Options before the file are taken
// and not heeded: it is isolated anyway.
#include "Python.h"
#include "pycore_initconfig.h"
#include "pycore_pathconfig.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// What __main__ of a zip finds: runpy's work, without runpy.
static const char START[] = "import sys, zipimport\n"
			    "__loader__ = zipimport.zipimporter(sys.path[0])\n"
			    "exec(__loader__.get_code('__main__'))\n";

// In place of Python's search for its library, all of which is frozen.
PyStatus _PyConfig_InitPathConfig(PyConfig *config, int compute_path_config)
{
	(void)config;
	(void)compute_path_config;
	return _PyStatus_OK();
}

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

static void check(PyStatus status)
{
	if (PyStatus_Exception(status))
		Py_ExitStatusException(status);
}

int main(int argc, char **argv)
{
	char name[4096] = {};
	int at = 1;

	while (at < argc && argv[at][0] == '-')
		at++;
	if (at == argc || readlink("/proc/self/exe", name, sizeof(name) - 1) < 0)
		return 255;

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
	wchar_t *path = Py_DecodeLocale(argv[at], NULL);
	if (!path)
		return 255;
	check(PyConfig_SetBytesArgv(&config, argc - at, argv + at));
	check(PyConfig_SetBytesString(&config, &config.executable, name));
	check(PyConfig_SetBytesString(&config, &config.base_executable, name));
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
