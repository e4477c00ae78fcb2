// SPDX-License-Identifier: GPL-2.0-only
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>

#define SHARED
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

/* Keeps every event structure in the object's BTF (see style rule: a structure
 * that is only cast to would vanish).
 */
const union event *event_abi __attribute__((unused));
enum event_kind event_kinds __attribute__((unused));
enum event_limit event_limits __attribute__((unused));
enum exec_flag exec_flags __attribute__((unused));
