// SPDX-License-Identifier: GPL-2.0-only
/* Raw tracepoints: what the kernel hands to them, before a record is made of it. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define CALL_SECTION "?raw_tp"
#define CALL_NAME(x) raw_tracepoint_##x
#define CALL_READS_CONTEXT 0
#define CALL_RESULT(call) 0
#include "call_steps.h"

char LICENSE[] SEC("license") = "GPL";

/* A raw tracepoint's program cannot be identified by its link: each is loaded for its hook, with as
 * many arguments as that has.
 */
const volatile __u64 fixed_raw_cookie;
const volatile __u32 raw_arguments;

SEC("?raw_tp")
int on_raw_tracepoint(struct bpf_raw_tracepoint_args *ctx)
{
	struct call *call = claim_call();

	if (!call)
		return 0;
	if (raw_arguments > 0)
		call->arguments[0] = ctx->args[0];
	if (raw_arguments > 1)
		call->arguments[1] = ctx->args[1];
	if (raw_arguments > 2)
		call->arguments[2] = ctx->args[2];
	if (raw_arguments > 3)
		call->arguments[3] = ctx->args[3];
	if (raw_arguments > 4)
		call->arguments[4] = ctx->args[4];
	return enter(ctx, call, fixed_raw_cookie);
}
