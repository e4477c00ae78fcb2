/* SPDX-License-Identifier: GPL-2.0-only */
/* Who called, and what is kept of a call until it returns. Part of call_steps.h. */
/* Whoever is reported has to be known. */
static __always_inline void report_caller(void *ctx, struct call *call)
{
	struct process *process = find_process(call->event.pid, call->event.start);

	if (!process)
		return;
	if (process->state & PROCESS_DEFERRED) {
		submit_fork(ctx, process, call->event.pid);
		process->state &= ~PROCESS_DEFERRED;
		end_deferral(process);
	}
	if (process->state & PROCESS_SUPPRESSED)
		call->event.flags |= CALL_PROCESS_UNREPORTED;
}

/* Where the call is reported when it returns, what the other program needs. */
static __always_inline void keep_until_return(struct call *call)
{
	struct returning_key key = { bpf_get_current_pid_tgid(), call->event.hook };
	struct returning began = { .selectors = call->selectors,
				   .unknown_workload = call->unknown_workload };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);

	if (!map)
		return;
	bpf_probe_read_kernel(began.arguments, sizeof(began.arguments), call->arguments);
	bpf_map_update_elem(map, &key, &began, BPF_ANY);
}
