/* SPDX-License-Identifier: GPL-2.0-only */
/* Who called. Part of call_steps.h. */
/* Whoever is reported has to be known; `process` may be 0, and what is sent was admitted. */
static __always_inline void report_caller(void *ctx, struct call *call, struct process *process)
{
	if (!process)
		return;
	if (process->state & PROCESS_DEFERRED) {
		send_fork(ctx, process, call->event.pid);
		process->state &= ~PROCESS_DEFERRED;
		end_deferral(process);
	}
	if (process->state & PROCESS_SUPPRESSED)
		call->event.flags |= CALL_PROCESS_UNREPORTED;
}
