# SPDX-License-Identifier: Apache-2.0
"""What the executable's interpreter is made of: names and places, and no code."""

from __future__ import annotations

# Modules in C beyond those that no interpreter does without, and their files below Modules/.
MODULES = {
    "_bisect": "_bisectmodule.c",
    "_blake2": "_blake2/blake2module.c _blake2/blake2b_impl.c _blake2/blake2s_impl.c",
    "_bz2": "_bz2module.c",
    "_contextvars": "_contextvarsmodule.c",
    "_csv": "_csv.c",
    "_ctypes": "_ctypes/_ctypes.c _ctypes/callbacks.c _ctypes/callproc.c _ctypes/cfield.c"
    " _ctypes/stgdict.c",
    "_datetime": "_datetimemodule.c",
    "_heapq": "_heapqmodule.c",
    "_json": "_json.c",
    "_lzma": "_lzmamodule.c",
    "_md5": "md5module.c",
    "_multiprocessing": "_multiprocessing/multiprocessing.c _multiprocessing/semaphore.c",
    "_opcode": "_opcode.c",
    "_pickle": "_pickle.c",
    "_posixsubprocess": "_posixsubprocess.c",
    "_queue": "_queuemodule.c",
    "_random": "_randommodule.c",
    "_sha1": "sha1module.c",
    "_sha256": "sha256module.c",
    "_sha3": "_sha3/sha3module.c",
    "_sha512": "sha512module.c",
    "_socket": "socketmodule.c",
    "_statistics": "_statisticsmodule.c",
    "_struct": "_struct.c",
    "_typing": "_typingmodule.c",
    "array": "arraymodule.c",
    "binascii": "binascii.c",
    "fcntl": "fcntlmodule.c",
    "grp": "grpmodule.c",
    "math": "mathmodule.c",
    "mmap": "mmapmodule.c",
    "resource": "resource.c",
    "select": "selectmodule.c",
    "termios": "termios.c",
    "unicodedata": "unicodedata.c",
    "zlib": "zlibmodule.c",
}

# Those that no interpreter does without (Modules/Setup.bootstrap.in).
BOOTSTRAP = {
    "_abc": "_abc.c",
    "_codecs": "_codecsmodule.c",
    "_collections": "_collectionsmodule.c",
    "_functools": "_functoolsmodule.c",
    "_io": "_io/_iomodule.c _io/iobase.c _io/fileio.c _io/bytesio.c _io/bufferedio.c _io/textio.c"
    " _io/stringio.c",
    "_locale": "_localemodule.c",
    "_operator": "_operator.c",
    "_signal": "signalmodule.c",
    "_sre": "_sre/sre.c",
    "_stat": "_stat.c",
    "_symtable": "symtablemodule.c",
    "_thread": "_threadmodule.c",
    "_tracemalloc": "_tracemalloc.c",
    "_weakref": "_weakref.c",
    "atexit": "atexitmodule.c",
    "errno": "errnomodule.c",
    "faulthandler": "faulthandler.c",
    "itertools": "itertoolsmodule.c",
    "posix": "posixmodule.c",
    "pwd": "pwdmodule.c",
    "time": "timemodule.c",
}

# libc's functions that the agent calls by ctypes.
LIBC = ("free", "setns", "syscall", "vasprintf")

BZIP2 = "blocksort bzlib compress crctable decompress huffman randtable".split()

# liblzma without threads and without programs (xz 5.8, src/liblzma/*/Makefile.inc).
LZMA = (
    "common/tuklib_physmem common/tuklib_cpucores"
    " liblzma/check/check liblzma/check/crc32_fast liblzma/check/crc64_fast liblzma/check/sha256"
    " liblzma/common/alone_decoder liblzma/common/alone_encoder liblzma/common/auto_decoder"
    " liblzma/common/block_buffer_decoder liblzma/common/block_buffer_encoder"
    " liblzma/common/block_decoder liblzma/common/block_encoder"
    " liblzma/common/block_header_decoder liblzma/common/block_header_encoder"
    " liblzma/common/block_util liblzma/common/common liblzma/common/easy_encoder"
    " liblzma/common/easy_preset liblzma/common/filter_common liblzma/common/filter_decoder"
    " liblzma/common/filter_encoder liblzma/common/filter_flags_decoder"
    " liblzma/common/filter_flags_encoder liblzma/common/index liblzma/common/index_decoder"
    " liblzma/common/index_encoder liblzma/common/index_hash liblzma/common/lzip_decoder"
    " liblzma/common/stream_decoder liblzma/common/stream_encoder"
    " liblzma/common/stream_flags_common liblzma/common/stream_flags_decoder"
    " liblzma/common/stream_flags_encoder liblzma/common/vli_decoder liblzma/common/vli_encoder"
    " liblzma/common/vli_size"
    " liblzma/delta/delta_common liblzma/delta/delta_decoder liblzma/delta/delta_encoder"
    " liblzma/lz/lz_decoder liblzma/lz/lz_encoder liblzma/lz/lz_encoder_mf"
    " liblzma/lzma/fastpos_table liblzma/lzma/lzma2_decoder liblzma/lzma/lzma2_encoder"
    " liblzma/lzma/lzma_decoder liblzma/lzma/lzma_encoder"
    " liblzma/lzma/lzma_encoder_optimum_fast liblzma/lzma/lzma_encoder_optimum_normal"
    " liblzma/lzma/lzma_encoder_presets liblzma/rangecoder/price_table"
    " liblzma/simple/arm liblzma/simple/arm64 liblzma/simple/armthumb liblzma/simple/ia64"
    " liblzma/simple/powerpc liblzma/simple/riscv liblzma/simple/simple_coder"
    " liblzma/simple/simple_decoder liblzma/simple/simple_encoder liblzma/simple/sparc"
    " liblzma/simple/x86"
).split()

# What ./configure would say of it.
LZMA_FLAGS = (
    *"-DHAVE_STDINT_H -DHAVE_STDBOOL_H -DHAVE_INTTYPES_H -DHAVE_STRING_H -DSIZEOF_SIZE_T=8".split(),
    *"-DHAVE_CHECK_CRC32 -DHAVE_CHECK_CRC64 -DHAVE_CHECK_SHA256 -DHAVE_LZIP_DECODER".split(),
    *"-DHAVE_MF_HC3 -DHAVE_MF_HC4 -DHAVE_MF_BT2 -DHAVE_MF_BT3 -DHAVE_MF_BT4".split(),
    *"-DHAVE_ENCODERS -DHAVE_DECODERS -DTUKLIB_FAST_UNALIGNED_ACCESS".split(),
    "-DTUKLIB_SYMBOL_PREFIX=lzma_",
    *(
        f"-DHAVE_{half}_{kind}"
        for half in ("ENCODER", "DECODER")
        for kind in "ARM ARM64 ARMTHUMB DELTA IA64 LZMA1 LZMA2 POWERPC RISCV SPARC X86".split()
    ),
)
