// SPDX-License-Identifier: Apache-2.0
// Starts a zip in a Python all of whose library is frozen, as `python3 -IS FILE` would.
#ifndef TETRAPY_START_H
#define TETRAPY_START_H

#include "Python.h"
#include "pycore_initconfig.h"
#include "pycore_pathconfig.h"

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

static void check(PyStatus status)
{
	if (PyStatus_Exception(status))
		Py_ExitStatusException(status);
}

// Runs the zip at the end of the file `archive`, and returns the exit code. `program` and
// `executable` are sys.executable's: what was started, and the file that it is.
static int run_archive(int argc, char **argv, const char *program, const char *executable,
		       const char *archive)
{
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
	check(PyConfig_SetBytesString(&config, &config.program_name, program));
	check(PyConfig_SetBytesString(&config, &config.executable, executable));
	check(PyConfig_SetBytesString(&config, &config.base_executable, executable));
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

#endif
