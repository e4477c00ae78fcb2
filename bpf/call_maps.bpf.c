// SPDX-License-Identifier: GPL-2.0-only
/* The maps of tracing policies. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "settings.h"
#include "maps.h"
#include "scratch.h"
#include "share.h"
#include "process.h"
#undef SHARED
#define SHARED
#include "hook.h"
#include "lineage.h"
#include "workloads.h"
#include "call.h"
#include "call_syscall.h"
#include "call_return.h"
#include "call_use.h"
#include "enforcement.h"
#include "tracked.h"

char LICENSE[] SEC("license") = "GPL";

/* Keeps what user space reads in the object's BTF. */
const struct hook *hook_abi __attribute__((unused));
const struct set_key *set_key_abi __attribute__((unused));
const struct returning_key *returning_key_abi __attribute__((unused));
const struct returning *returning_abi __attribute__((unused));
const struct enforcement_key *enforcement_key_abi __attribute__((unused));
const struct tracked_set *tracked_set_abi __attribute__((unused));
const struct enforcement *enforcement_abi __attribute__((unused));
const struct rate_key *rate_key_abi __attribute__((unused));
const struct use_key *use_key_abi __attribute__((unused));
const struct workload *workload_abi __attribute__((unused));
const struct image *image_abi __attribute__((unused));
const struct call_socket *call_socket_abi __attribute__((unused));
const struct call_packet *call_packet_abi __attribute__((unused));
const struct call_credentials *call_credentials_abi __attribute__((unused));
const struct call_bpf_program *call_bpf_program_abi __attribute__((unused));
const struct call_bpf_map *call_bpf_map_abi __attribute__((unused));
const struct call_perf_event *call_perf_event_abi __attribute__((unused));
const struct call_module *call_module_abi __attribute__((unused));
enum socket_number socket_numbers __attribute__((unused));
const struct call_value *call_value_abi __attribute__((unused));
enum owner_kind owner_kinds __attribute__((unused));
enum hook_limit hook_limits __attribute__((unused));
enum value_kind value_kinds __attribute__((unused));
enum value_source value_sources __attribute__((unused));
enum value_flag value_flags __attribute__((unused));
enum call_number number_names __attribute__((unused));
enum comparison comparisons __attribute__((unused));
enum operation operations __attribute__((unused));
enum action_flag action_flags __attribute__((unused));
enum selector_count selector_counts __attribute__((unused));
enum hook_count hook_count_places __attribute__((unused));
enum acts_flag acts_flags __attribute__((unused));
enum stack_index stack_indexes __attribute__((unused));
enum call_step call_steps __attribute__((unused));
enum call_flag call_flags __attribute__((unused));
enum call_value_flag call_value_flags __attribute__((unused));
