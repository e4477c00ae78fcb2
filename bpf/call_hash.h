/* SPDX-License-Identifier: GPL-2.0-only */
/* The hash of a file, by IMA. Part of call_trampoline.bpf.c.
 *
 * IMA reads the file for it, so that the program has to be one that may sleep: a second one at the
 * same hook, which the kernel runs behind the first. It has none of the steps, which may not sleep,
 * and sends a record of its own: user space waits for it as for the return of a function.
 */
#ifndef TETRAPY_CALL_HASH_H
#define TETRAPY_CALL_HASH_H

#include "call.h"
#include "call_return.h"

#define HASH_BYTES 64 /* of the longest */

struct hash_record {
	struct call_event event;
	struct call_value value;
	__u8 hash[HASH_BYTES];
};

/* 1: the hook's argument is a program that is about to run, 0: a file. */
const volatile __u32 hashes_binprm;

#if EVENTS_RINGBUF /* programs that may sleep have no other buffer */

/* Of a pointer that the verifier knows the type of. */
static __always_inline struct file *hashed_file(void **ctx)
{
	struct linux_binprm *program;

	if (!hashes_binprm)
		return ctx[0];
	program = ctx[0];
	return program->file;
}

SEC("?fentry")
int on_hash(void **ctx)
{
	__u64 ids = bpf_get_current_pid_tgid();
	struct returning_key key = { ids, fixed_trampoline_cookie & COOKIE_HOOK };
	struct hash_record record = {};
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);
	struct returning *began = map ? bpf_map_lookup_elem(map, &key) : 0;
	struct file *file = hashed_file(ctx);
	struct task_struct *task;
	__u64 argument;
	long algorithm;

	if (!began)
		return 0;
	record.event.selector = first_selector(began->selectors);
	argument = began->arguments[0];
	forget_returning(map, &key, began->share);
	/* Of a call that another program said no to, behind the first. */
	if (argument != (__u64)ctx[0] || !file)
		return 0;
	algorithm = bpf_ima_file_hash(file, record.hash, HASH_BYTES);
	task = (struct task_struct *)bpf_get_current_task();
	record.event.start = task_start(BPF_CORE_READ(task, group_leader));
	record.event.pid = ids >> 32;
	record.event.tid = ids;
	record.event.hook = key.hook;
	record.event.flags = CALL_RETURNED;
	record.event.values_size = sizeof(record.value) + HASH_BYTES;
	record.value.index = HASH_OF_FILE;
	record.value.flags = algorithm < 0 ? CALL_VALUE_ERROR : 0;
	record.value.size = HASH_BYTES;
	record.value.detail = algorithm;
	fill_header(&record.event.header, EVENT_CALL, event_clock());
	submit(ctx, &record.event.header, sizeof(record));
	return 0;
}

#endif

#endif
