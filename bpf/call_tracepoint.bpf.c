// SPDX-License-Identifier: GPL-2.0-only
/* Tracepoints, by the records that they make. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define CALL_SECTION "?tracepoint"
#define CALL_NAME(x) tracepoint_##x
#define CALL_READS_CONTEXT 1
#define CALL_RESULT(call) 0
#include "call_steps.h"

char LICENSE[] SEC("license") = "GPL";

/* The hook, where a program is not given the number of its link (before Linux 5.15). */
const volatile __u64 fixed_tracepoint_cookie;

static __always_inline int tracepoint_hit(void *ctx, __u64 cookie)
{
	struct call *call = claim_call();

	return call ? enter(ctx, call, cookie) : 0;
}

SEC("?tracepoint/5.15")
int on_tracepoint(void *ctx)
{
	return tracepoint_hit(ctx, bpf_get_attach_cookie(ctx));
}

SEC("?tracepoint")
int on_tracepoint_fixed(void *ctx)
{
	return tracepoint_hit(ctx, fixed_tracepoint_cookie);
}
