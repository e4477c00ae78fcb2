/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a hook to a record. Programs of different types cannot call one another, so each type has
 * its own of the same: a source file defines
 *   CALL_SECTION        the section of a program that is only called,
 *   CALL_NAME(x)        the name of program x of this type,
 *   CALL_READS_CONTEXT  1 where values are read from the context: registers, a record,
 * and includes this.
 */
#include "call_filter.h"
#include "call_value.h"

/* The steps of this type, by enum call_step; user space fills them in. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CALL_STEPS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} CALL_NAME(steps) SEC(".maps");

#include "call_claim.h"

static __always_inline void go_on(void *ctx, enum call_step step)
{
	bpf_tail_call(ctx, &CALL_NAME(steps), step);
}

#include "call_source.h"

/* Fills in the head of the record, and finds the hook's tables. */
static __always_inline struct hook *begin_call(struct call *call, __u64 cookie)
{
	__u64 ids = bpf_get_current_pid_tgid();

	call->slot = cookie >> 32;
	call->event.pid = ids >> 32;
	call->event.tid = ids;
	call->event.hook = cookie & COOKIE_HOOK;
	call->event.flags = 0;
	call->at_return = 0;
	call->held = 0;
	call->unreadable = 0;
	call->unknown_paths = 0;
	call->used = 0;
	call->next = 0;
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
	__u32 count = hook->head.values_count;
	__u32 i;

	for (i = 0; i < HOOK_VALUES; i++) {
		if (i >= count)
			break;
		call->numbers[i] = read_number(ctx, call, hook, i);
	}
}

/* Reads what the tables of a hook say of a call. Does not return when there is something to be
 * reported.
 */
static __always_inline void enter(void *ctx, struct call *call, __u64 cookie)
{
	struct hook *hook = begin_call(call, cookie);

	if (hook) {
		read_numbers(ctx, call, hook);
		if (hook->head.sockets)
			read_sockets(call, hook);
		if (hook->head.context)
			read_context(call, hook->head.context);
		call->selectors = hook->head.selectors;
		match_numbers(call, hook, 0, hook->head.plain_filters, HOOK_FILTERS);
		if (call->selectors) {
			begin_record(call);
			call->filtered = hook->head.filters_count > hook->head.plain_filters;
			go_on(ctx, STEP_VALUES);
		}
	}
	release_call(call);
}

/* The same when a function returns whose call was reported. */
static __always_inline void enter_return(void *ctx, struct call *call, __u64 cookie)
{
	struct hook *hook = begin_call(call, cookie);
	struct returning_key key = { call->event.tid, call->event.hook };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);
	struct returning *began = map ? bpf_map_lookup_elem(map, &key) : 0;

	if (hook && began) {
		call->selectors = began->selectors;
		bpf_probe_read_kernel(call->arguments, sizeof(call->arguments), began->arguments);
		bpf_map_delete_elem(map, &key);
		call->at_return = 1;
		call->filtered = 0;
		call->event.flags = CALL_RETURNED;
		read_numbers(ctx, call, hook);
		if (hook->head.sockets)
			read_sockets(call, hook);
		match_numbers(call, hook, hook->head.filters_count, hook->head.return_filters,
			      HOOK_RETURN_FILTERS);
		begin_record(call);
		go_on(ctx, STEP_VALUES);
	}
	release_call(call);
}

static __always_inline __u32 first_selector(__u32 selectors)
{
	__u32 i;

	for (i = 0; i < HOOK_SELECTORS; i++)
		if (selectors >> i & 1)
			return i;
	return 0;
}

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
	struct returning_key key = { call->event.tid, call->event.hook };
	struct returning began = { .selectors = call->selectors };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);

	if (!map)
		return;
	bpf_probe_read_kernel(began.arguments, sizeof(began.arguments), call->arguments);
	bpf_map_update_elem(map, &key, &began, BPF_ANY);
}

/* Whether a call with the same values was reported less than the action's interval ago. */
static __always_inline int is_too_soon(struct call *call, const struct hook_action *action)
{
	struct rate_key *key = &call->rate;
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&rates, &zero);
	__u64 now = call->event.header.ktime;
	__u32 size = call->used < RATE_BYTES ? call->used : RATE_BYTES;
	__u64 *last;

	if (!map)
		return 0;
	key->hook = call->event.hook;
	key->selector = call->event.selector;
	key->scope = call->event.tid;
	if (action->flags & ACTION_SCOPE_PROCESS)
		key->scope = call->event.pid;
	if (action->flags & ACTION_SCOPE_GLOBAL)
		key->scope = 0;
	__builtin_memset(key->values, 0, sizeof(key->values));
	bpf_probe_read_kernel(key->values, size, call->data);
	last = bpf_map_lookup_elem(map, key);
	if (last && now - *last < action->interval)
		return 1;
	bpf_map_update_elem(map, key, &now, BPF_ANY);
	return 0;
}

static __always_inline void submit_call(void *ctx, struct call *call, struct hook *hook)
{
	__u32 selector = first_selector(call->selectors);
	const struct hook_action *action = &hook->actions[selector & 7];
	int posts = action->flags & ACTION_POST;
	__u64 size;

	call->event.selector = selector;
	call->event.values_size = call_end(call);
	if (call->at_return) {
		/* User space has the first half already, and waits. */
		if (!call->selectors || !posts)
			call->event.flags |= CALL_UNWANTED;
	} else {
		if (!posts && !hook->head.reports_return)
			return;
		if (action->interval && is_too_soon(call, action))
			return;
	}
	report_caller(ctx, call);
	size = sizeof(call->event) + call_end(call);
	if (!admit(size, EVENT_CALL))
		return;
	submit(ctx, &call->event.header, size);
	if (!call->at_return && hook->head.reports_return)
		keep_until_return(call);
}

static __always_inline int is_read_now(struct call *call, const struct hook_value *value)
{
	return (value->flags & VALUE_AT_RETURN ? 1 : 0) == call->at_return &&
	       (value->flags & VALUE_FILTERED ? 1 : 0) == call->filtered;
}

/* Reads values: those that filters ask for, then the others. */
SEC(CALL_SECTION)
int CALL_NAME(values)(void *ctx)
{
	struct call *call = claimed_call();
	struct hook *hook;
	__u32 i;

	if (!call)
		return 0;
	hook = find_hook(call->slot);
	if (hook) {
		for (i = 0; i < HOOK_VALUES; i++) {
			__u32 index = *(volatile __u32 *)&call->next;
			struct hook_value *value = &hook->values[index & (HOOK_VALUES - 1)];
			__u32 kind = value->kind;

			if (index >= hook->head.values_count)
				break;
			call->next = index + 1;
			if (!is_read_now(call, value))
				continue;
			if (kind == VALUE_NUMBER || kind == VALUE_POINTED)
				append_number(call, index);
			else if (kind == VALUE_STRING)
				append_string(call, index);
			else if (kind == VALUE_BYTES)
				append_bytes(call, value, index);
			else if (kind == VALUE_SOCKADDR_UN)
				append_unix_address(call, value, index);
			else if (kind >= VALUE_SOCK)
				append_socket(call, value, index);
			else if (kind != VALUE_NONE)
				go_on(ctx, STEP_PATH);
		}
		if (call->filtered)
			go_on(ctx, STEP_MATCH);
		submit_call(ctx, call, hook);
	}
	release_call(call);
	return 0;
}

static __always_inline void walk_path(void *ctx, struct call *call, int steps)
{
	if (!walk_up(&call->walk, steps)) {
		go_on(ctx, STEP_PATH_DEEP);
		call->walk.end = WALK_TOO_LONG;
	}
	append_walked(call, call->next - 1);
	go_on(ctx, STEP_VALUES);
}

SEC(CALL_SECTION)
int CALL_NAME(path)(void *ctx)
{
	struct call *call = claimed_call();
	struct hook *hook;
	__u32 index;

	if (!call)
		return 0;
	hook = find_hook(call->slot);
	if (hook) {
		index = (call->next - 1) & (HOOK_VALUES - 1);
		if (start_path(call, hook->values[index].kind, call->numbers[index]))
			walk_path(ctx, call, PATH_FIRST_STEPS);
		else
			begin_value(call, index)->flags = CALL_VALUE_ERROR;
		go_on(ctx, STEP_VALUES);
	}
	release_call(call);
	return 0;
}

SEC(CALL_SECTION)
int CALL_NAME(path_deep)(void *ctx)
{
	struct call *call = claimed_call();

	if (call) {
		walk_path(ctx, call, PATH_MORE_STEPS);
		release_call(call);
	}
	return 0;
}

SEC(CALL_SECTION)
int CALL_NAME(match)(void *ctx)
{
	struct call *call = claimed_call();
	struct hook *hook;

	if (!call)
		return 0;
	hook = find_hook(call->slot);
	if (hook) {
		match_texts(call, hook);
		if (call->selectors) {
			call->filtered = 0;
			call->next = 0;
			go_on(ctx, STEP_VALUES);
		}
	}
	release_call(call);
	return 0;
}
