/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeping a task from being preempted inside of a program, where gates are used (gates.h). The
 * verifier takes no tail call in between: what is left are moments around those, and at both ends.
 */
#ifndef TETRAPY_PREEMPT_H
#define TETRAPY_PREEMPT_H

#include "settings.h"

/* User space, which knows their numbers, puts calls of the kernel's functions in these places
 * (kernel/kfuncs.py). Where it does not, nothing happens.
 */
#define KFUNC(number) "r0 = " #number "\n"
#define PREEMPT_DISABLE KFUNC(0x7e740001)
#define PREEMPT_ENABLE KFUNC(0x7e740002)
#define IRQ_SAVE KFUNC(0x7e740003)
#define IRQ_RESTORE KFUNC(0x7e740004)

static __always_inline void disable_preemption(void)
{
	if (gates)
		asm volatile(PREEMPT_DISABLE ::: "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

/* A task whose time is up is preempted as soon as preemption is enabled, which would be inside of
 * the gate. With interrupts off that is put off until the kernel looks the next time, behind the
 * gate.
 */
static __always_inline void enable_preemption(void)
{
	__u64 flags;

	if (gates)
		asm volatile("r1 = %[flags]\n" IRQ_SAVE PREEMPT_ENABLE "r1 = %[flags]\n" IRQ_RESTORE
			     :
			     : [flags] "r"(&flags)
			     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

#endif
