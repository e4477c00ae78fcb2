// SPDX-License-Identifier: GPL-2.0-only
/* A program that the verifier refuses at its end: a number is no pointer. Until then it has looked
 * at so many instructions that its log is long.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tp")
int refused(__u64 *ctx)
{
	volatile __u64 sum = 0;

#pragma unroll
	for (int step = 0; step < 1500; step++)
		sum += ctx[0] + step;
	return *(volatile __u32 *)sum;
}
