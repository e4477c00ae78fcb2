// SPDX-License-Identifier: GPL-2.0
/*
 * A process that does one known thing. Without libc, so that the pinned compiler makes it for both
 * architectures and it runs in every guest.
 *
 *	victim exit STATUS [ARGUMENT]...
 *	victim signal NUMBER
 *	victim exec PROGRAM [ARGUMENT]...	another image in the same process
 *	victim fork STATUS			a child without exec exits with STATUS, then the
 * parent with 0
 */

#define SIGCHLD 17

#if defined(__x86_64__)
enum {
	NR_exit_group = 231,
	NR_getpid = 39,
	NR_kill = 62,
	NR_execve = 59,
	NR_clone = 56,
	NR_wait4 = 61
};

static long syscall4(long number, long first, long second, long third, long fourth)
{
	register long r10 __asm__("r10") = fourth;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
#elif defined(__aarch64__)
enum {
	NR_exit_group = 94,
	NR_getpid = 172,
	NR_kill = 129,
	NR_execve = 221,
	NR_clone = 220,
	NR_wait4 = 260
};

static long syscall4(long number, long first, long second, long third, long fourth)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = first;
	register long x1 __asm__("x1") = second;
	register long x2 __asm__("x2") = third;
	register long x3 __asm__("x3") = fourth;
	/* clone's fifth argument: no thread-local storage or child's address is asked for */
	register long x4 __asm__("x4") = 0;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}

__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl run\n");
#else
#error "no system calls for this architecture here"
#endif

static void quit(long status)
{
	for (;;)
		syscall4(NR_exit_group, status, 0, 0, 0);
}

static long number(const char *text)
{
	long value = 0;

	while (*text)
		value = value * 10 + *text++ - '0';
	return value;
}

/* stack: what the kernel leaves at the first instruction, argc, argv, a null pointer, the
 * environment */
__attribute__((used)) static void run(long *stack)
{
	char **argv = (char **)(stack + 1);
	char **environment = argv + stack[0] + 1;

	if (stack[0] < 3)
		quit(100);
	switch (argv[1][0] == 'e' ? argv[1][2] : argv[1][0]) {
	case 'i': /* exit */
		quit(number(argv[2]));
	case 's': /* signal */
		syscall4(NR_kill, syscall4(NR_getpid, 0, 0, 0, 0), number(argv[2]), 0, 0);
		break;
	case 'e': /* exec */
		syscall4(NR_execve, (long)argv[2], (long)(argv + 2), (long)environment, 0);
		break;
	case 'f': /* fork */
		if (syscall4(NR_clone, SIGCHLD, 0, 0, 0) == 0)
			quit(number(argv[2]));
		syscall4(NR_wait4, -1, 0, 0, 0);
		quit(0);
	}
	quit(101);
}
