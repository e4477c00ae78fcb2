/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few system calls of the small static programs that run in guests, without libc: the pinned
 * compiler makes them for both architectures, and what is measured is the kernel's work, not a
 * libc's start.
 */
#pragma once

struct timespec64 {
	long seconds;
	long nanoseconds;
};

enum { SIGCHLD = 17, CLOCK_MONOTONIC = 1, ENOSYS = 38 };

#if defined(__x86_64__)
enum {
	NR_write = 1,
	NR_getpid = 39,
	NR_clone = 56,
	NR_execve = 59,
	NR_wait4 = 61,
	NR_kill = 62,
	NR_clock_gettime = 228,
	NR_exit_group = 231,
};

static inline long syscall5(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

/* The kernel starts a program with argc, argv[], 0, envp[], 0 on the stack. */
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
#elif defined(__aarch64__)
enum {
	NR_write = 64,
	NR_kill = 129,
	NR_getpid = 172,
	NR_clone = 220,
	NR_execve = 221,
	NR_wait4 = 260,
	NR_clock_gettime = 113,
	NR_exit_group = 94,
};

static inline long syscall5(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tand sp, x0, #-16\n\tbl run\n");
#else
#error "no system calls known for this architecture"
#endif

static inline _Noreturn void leave(int status)
{
	for (;;)
		syscall5(NR_exit_group, status, 0, 0, 0, 0);
}

static inline long clone_process(void)
{
	return syscall5(NR_clone, SIGCHLD, 0, 0, 0, 0);
}

static inline long wait_for(long pid, int *status)
{
	return syscall5(NR_wait4, pid, (long)status, 0, 0, 0);
}

static inline long now(void)
{
	struct timespec64 time = { 0, 0 };

	syscall5(NR_clock_gettime, CLOCK_MONOTONIC, (long)&time, 0, 0, 0);
	return time.seconds * 1000000000 + time.nanoseconds;
}
