/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What elfutils' configure script would have found, for libelf alone and for glibc 2.17.
 *
 * Left out on purpose: compressed sections by zstd (USE_ZSTD), locks (USE_LOCKS: one thread uses
 * libelf), and symbol versions of libelf's own (SYMBOL_VERSIONING: it is inside libbpf.so).
 */
#ifndef TETRAPY_ELFUTILS_CONFIG_H
#define TETRAPY_ELFUTILS_CONFIG_H

#define PACKAGE_NAME "elfutils"

#define HAVE_DECL_MEMPCPY 1
#define HAVE_DECL_MEMRCHR 1
#define HAVE_DECL_POWEROF2 1
#define HAVE_ERR_H 1
#define HAVE_MREMAP 1
#define HAVE_STDATOMIC_H 1
#define HAVE_VISIBILITY 1

/*
 * glibc has reallocarray() since 2.26. system.h brings its own; under another name it cannot clash
 * with a declaration in the compiler's newer headers, which have to be read before the renaming.
 */
#include <stdlib.h>
#define HAVE_DECL_REALLOCARRAY 0
#define reallocarray libelf_reallocarray

#include "eu-config.h"

#endif
