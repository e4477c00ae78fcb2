/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a hook to a record. Programs of different types cannot call one another, so each type has
 * its own of the same: a source file defines
 *   CALL_SECTION        the section of a program that is only called,
 *   CALL_NAME(x)        the name of program x of this type,
 *   CALL_READS_CONTEXT  1 where values are read from the context: registers, a record,
 *   CALL_RESULT(call)   what a program returns in the end,
 * and includes this.
 */
#include "call_file.h"
#include "call_filter.h"
#include "call_operations.h"
#include "call_rate.h"
#include "call_return.h"
#include "call_use.h"

/* The steps of this type, by enum call_step; user space fills them in. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CALL_STEPS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} CALL_NAME(steps) SEC(".maps");

#include "call_claim.h"

/* Gives the place of a call back; returns what the program returns. */
static __always_inline int end_call(struct call *call)
{
	int result = CALL_RESULT(call);

	release_call(call);
	return result;
}

/* A program that goes on with a call: `body`, unless the call's hook is gone meanwhile. */
#define CALL_STEP(name, body)                          \
	SEC(CALL_SECTION)                              \
	int CALL_NAME(name)(void *ctx)                 \
	{                                              \
		struct call *call = claimed_call(ctx); \
		struct hook *hook;                     \
                                                       \
		if (!call)                             \
			return 0;                      \
		hook = find_hook(call->slot);          \
		if (hook)                              \
			body(ctx, call, hook);         \
		return end_call(call);                 \
	}

#include "call_source.h"
#include "call_caller.h"

/* Fills in the head of the record, and finds the hook's tables. */
static __always_inline struct hook *begin_call(struct call *call, __u64 cookie)
{
	__u64 ids = bpf_get_current_pid_tgid();

	call->slot = cookie >> 32;
	call->event.pid = ids >> 32;
	call->event.tid = ids;
	call->event.hook = cookie & COOKIE_HOOK;
	call->event.flags = 0;
	call->bulk_at = PATH_LIMIT;
	call->held = 0;
	call->verdict = 0;
	call->unknown_workload = 0;
	call->unreadable = 0;
	call->unknown_paths = 0;
	call->foreign_paths = 0;
	call->files = 0;
	call->used = 0;
	call->next = 0;
	call->has_done = 0;
	return find_hook(call->slot);
}

static __always_inline void begin_record(struct call *call)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	call->event.start = task_start(BPF_CORE_READ(task, group_leader));
	fill_header(&call->event.header, EVENT_CALL, event_clock());
}

static __always_inline void read_numbers(void *ctx, struct call *call, struct hook *hook)
{
	__u32 count = hook->head.values_count, i;

	for (i = 0; i < (simple_hooks ? SIMPLE_VALUES : HOOK_VALUES); i++) {
		if (i >= count)
			break;
		call->numbers[i] = read_number(ctx, call, hook, i);
	}
}

/* All filters have decided: acts, where the hook does. */
static __always_inline void go_to_act(void *ctx, struct call *call, struct hook *hook,
				      int at_return)
{
	if (hook->head.acts & (at_return ? ACTS_AT_RETURN : ACTS_AT_CALL)) {
		if (hook->head.acts & ACTS_ON_SOCKETS)
			go_on(ctx, call, STEP_TRACK);
		go_on(ctx, call, STEP_ACT);
	}
}

/* Reads values, and sends the record. Does not return. */
static __always_inline void begin_reading(void *ctx, struct call *call, struct hook *hook,
					  int at_return)
{
	call->filtered_end = HOOK_VALUES;
	if (!call->filtered) {
		begin_record(call);
		go_to_act(ctx, call, hook, at_return);
	} else if (!at_return) {
		call->filtered_end = hook->head.filtered_end;
		if (hook->head.first_path) {
			call->next = hook->head.first_path;
			go_on(ctx, call, STEP_PATH);
		}
	}
	go_on(ctx, call, STEP_VALUES);
}

/* What numbers decide of what is returned. Does not return: user space waits for the record. */
static __always_inline void match_returned(void *ctx, struct call *call, struct hook *hook)
{
	call->filtered = hook->head.reads_texts >> 1;
	call->texts = hook->head.filters_count + hook->head.return_filters;
	call->texts_end = hook->head.return_texts_end;
	call->search = hook->head.searches_end;
	call->search_end = hook->head.return_searches_end;
	match_numbers(call, hook, hook->head.filters_count, hook->head.return_filters,
		      HOOK_RETURN_FILTERS);
	begin_reading(ctx, call, hook, 1);
}

/* What numbers decide. Does not return when there is something to be reported. */
static __always_inline void begin_values(void *ctx, struct call *call, struct hook *hook,
					 int at_return)
{
	call->spare_steps = hook->head.spare_steps;
	if (at_return) {
		if (!simple_hooks && hook->head.return_operations)
			go_on(ctx, call, STEP_RETURN);
		match_returned(ctx, call, hook);
		return;
	}
	if (!simple_hooks && hook->head.context)
		read_context(call, hook->head.context);
	if (!simple_hooks && hook->head.workloads)
		read_workloads(call);
	make_numbers(call, hook);
	call->selectors = hook->head.selectors;
	match_numbers(call, hook, 0, hook->head.plain_filters, HOOK_FILTERS);
	if (!call->selectors)
		return;
	call->filtered = hook->head.reads_texts & 1;
	call->texts = hook->head.plain_filters;
	call->texts_end = hook->head.filters_count;
	call->search = hook->head.return_texts_end;
	call->search_end = hook->head.searches_end;
	begin_reading(ctx, call, hook, 0);
}

/* Reads what the tables of a hook say of a call, in one way or the other. */
static __always_inline void read_call(void *ctx, struct call *call, struct hook *hook,
				      int at_return)
{
	read_numbers(ctx, call, hook);
	if (!simple_hooks && hook->head.sockets)
		read_sockets(call, hook);
	if (!simple_hooks && hook->head.packets)
		go_on(ctx, call, STEP_PACKET);
	begin_values(ctx, call, hook, at_return);
}

/* Reads what a hook's tables say of a call. Does not return when there is something to report. */
static __always_inline int enter(void *ctx, struct call *call, __u64 cookie)
{
	struct hook *hook = begin_call(call, cookie);

	count_call(cookie);
	call->at_return = 0;
	if (hook)
		read_call(ctx, call, hook, 0);
	return end_call(call);
}

/* The same when a function returns whose call was reported. */
static __always_inline int enter_return(void *ctx, struct call *call, __u64 cookie)
{
	struct hook *hook = begin_call(call, cookie);
	struct returning_key key = { call->event.tid, call->event.hook };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);
	struct returning *began = map ? bpf_map_lookup_elem(map, &key) : 0;

	if (hook && began) {
		call->selectors = began->selectors;
		call->unknown_workload = began->unknown_workload;
		bpf_probe_read_kernel(call->arguments, sizeof(call->arguments), began->arguments);
		forget_returning(map, &key, began->share);
		call->has_done = 1;
		call->at_return = 1;
		call->event.flags = CALL_RETURNED;
		read_call(ctx, call, hook, 1);
	}
	return end_call(call);
}

/* Sends the record. */
static __always_inline void finish_call(void *ctx, struct call *call, struct hook *hook)
{
	__u32 values = call_size(call);
	__u32 flags = hook->actions[call->event.selector & 7].flags;
	__u64 size = sizeof(call->event) + values;
	struct process *process = find_process(call->event.pid, call->event.start);
	__u64 before = process && process->state & PROCESS_DEFERRED ? sizeof(struct fork_event) : 0;

	if (flags & ACTION_HASH && !call->verdict) /* else no hook behind this one is called */
		call->event.flags |= CALL_HASH_FOLLOWS;
	call->event.values_size = values;
	if (!admit(before + size, EVENT_CALL))
		return;
	report_caller(ctx, call, process);
	note_use(hook, size);
	if ((call->event.flags & CALL_HASH_FOLLOWS ||
	     (!call->at_return && hook->head.reports_return)) &&
	    !keep_until_return(call))
		call->event.flags |= CALL_RETURN_LOST;
	barrier_var(size); /* verifiers of Linux 6.1 have lost its bounds by here */
	if (size > sizeof(call->event) + CALL_DATA_SIZE)
		return;
	if (!submit(ctx, &call->event.header, size))
		count_event(call, hook);
}

static __always_inline void submit_call(void *ctx, struct call *call, struct hook *hook)
{
	__u32 selector = first_selector(call->selectors);
	const struct hook_action *action = &hook->actions[selector & 7];
	int posts = action->flags & ACTION_POST;

	call->has_done = 1;
	count_match(call, hook, selector);
	call->event.selector = selector;
	if (call->unknown_workload) {
		/* The first one that is for it may be another, and tell more. */
		call->event.selector |= call->selectors << CALL_SELECTORS_SHIFT;
		call->event.flags |= CALL_UNKNOWN_WORKLOAD;
		posts = 1;
	}
	if (call->at_return) {
		/* User space has the first half already, and waits. */
		if (!call->selectors || !posts)
			call->event.flags |= CALL_UNWANTED;
	} else {
		if ((!posts && !hook->head.reports_return) || is_silent(hook))
			return;
		if (action->interval && !call->unknown_workload && is_too_soon(call, action))
			return;
	}
	if (action->flags & ACTION_NOTES_STATE && !call->at_return)
		note_current_state(call);
	if (!call->at_return && action->flags & (ACTION_KERNEL_STACK | ACTION_USER_STACK))
		go_on(ctx, call, STEP_STACK);
	if (!call->at_return && hook->head.bulk)
		go_on(ctx, call, STEP_BULK);
	finish_call(ctx, call, hook);
}

static __always_inline int is_read_now(struct call *call, const struct hook_value *value)
{
	return (value->flags & VALUE_AT_RETURN ? 1 : 0) == call->at_return &&
	       (value->flags & VALUE_FILTERED ? 1 : 0) == call->filtered;
}

static __always_inline int has_more_values(struct call *call, struct hook *hook)
{
	return *(volatile __u32 *)&call->next < hook->head.values_count &&
	       *(volatile __u32 *)&call->used <= CALL_DATA_MOST;
}

/* Reads values: those that filters ask for, then the others. */
static __always_inline void read_values(void *ctx, struct call *call, struct hook *hook)
{
	__u32 i;

	for (i = 0; i < VALUES_AT_ONCE && has_more_values(call, hook); i++) {
		__u32 index = *(volatile __u32 *)&call->next;
		struct hook_value *value = &hook->values[index & (HOOK_VALUES - 1)];
		__u32 kind = value->kind;

		call->next = index + 1;
		if (!call->filtered)
			complete_filtered(call, index);
		if (!is_read_now(call, value))
			continue;
		if (kind >= VALUE_VECTORS)
			go_on(ctx, call, STEP_VECTOR);
		else if (kind >= VALUE_STRUCTURES)
			go_on(ctx, call, STEP_STRUCTURE);
		else if (APPENDED_KINDS >> kind & 1)
			append(ctx, call, value, index);
		else if (kind != VALUE_NONE)
			go_on(ctx, call, STEP_PATH);
	}
	if (has_more_values(call, hook))
		go_on(ctx, call, STEP_VALUES);
	if (call->filtered)
		go_on(ctx, call, STEP_MATCH);
	submit_call(ctx, call, hook);
}

CALL_STEP(values, read_values)

#include "call_path.h"

/* Reads the other values. Of a call that returns all are reported: user space waits. */
static __always_inline void end_match(void *ctx, struct call *call, struct hook *hook)
{
	if (call->selectors || call->at_return) {
		begin_record(call);
		call->filtered = 0;
		call->next = 0;
		go_to_act(ctx, call, hook, call->at_return);
		go_on(ctx, call, STEP_VALUES);
	}
}

static __always_inline void match(void *ctx, struct call *call, struct hook *hook)
{
	if (!match_texts(call, hook))
		go_on(ctx, call, STEP_MATCH);
	if (call->search < call->search_end) {
		call->search_at = 0;
		call->search_state = 0;
		go_on(ctx, call, STEP_SEARCH);
	}
	end_match(ctx, call, hook);
}

CALL_STEP(match, match)

#include "call_optional.h"
