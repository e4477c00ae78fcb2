/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that read the path of a file. Part of call_steps.h. */
/* Goes on with what is long. The kernel lets 32 programs follow one another: those that a call
 * needs in any case are kept back, so that it is reported whatever is too long. Returns when none
 * is left.
 */
static __always_inline void take_spare_step(void *ctx, struct call *call, enum call_step step)
{
	if (!call->spare_steps)
		return;
	call->spare_steps--;
	go_on(ctx, call, step);
}

/* Behind a path: filters, as soon as all that they ask for is there, else the next value. */
static __always_inline void leave_path(void *ctx, struct call *call)
{
	if (call->filtered && call->next >= call->filtered_end)
		go_on(ctx, call, STEP_MATCH);
	go_on(ctx, call, STEP_VALUES);
}

static __always_inline void end_path(void *ctx, struct call *call)
{
	append_walked(call, call->next - 1);
	leave_path(ctx, call);
}

static __always_inline void walk_path(void *ctx, struct call *call, int steps)
{
	if (!walk_up(&call->walk, steps)) {
		take_spare_step(ctx, call, STEP_PATH_DEEP);
		call->walk.end = WALK_TOO_LONG;
	}
	end_path(ctx, call);
}

static __always_inline void read_path(void *ctx, struct call *call, struct hook *hook)
{
	__u32 index = (call->next - 1) & (HOOK_VALUES - 1);

	if (start_path(call, hook->values[index].kind, call->numbers[index]))
		walk_path(ctx, call, PATH_FIRST_STEPS);
	begin_value(call, index)->flags = CALL_VALUE_ERROR;
	leave_path(ctx, call);
}

CALL_STEP(path, read_path)

SEC(CALL_SECTION)
int CALL_NAME(path_deep)(void *ctx)
{
	struct call *call = claimed_call(ctx);

	if (!call)
		return 0;
	walk_path(ctx, call, PATH_MORE_STEPS);
	return end_call(call);
}

/* In its place where the kernel has bpf_loop(): a fifth for the verifier. */
SEC(CALL_SECTION "/5.17")
int CALL_NAME(path_loop)(void *ctx)
{
	struct call *call = claimed_call(ctx);

	if (!call)
		return 0;
	walk_in_loop(&call->walk);
	end_path(ctx, call);
	return end_call(call);
}
