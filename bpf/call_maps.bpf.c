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
#include "call.h"

char LICENSE[] SEC("license") = "GPL";

/* Keeps what user space reads in the object's BTF. */
const struct hook *hook_abi __attribute__((unused));
const struct set_key *set_key_abi __attribute__((unused));
const struct returning_key *returning_key_abi __attribute__((unused));
const struct returning *returning_abi __attribute__((unused));
const struct rate_key *rate_key_abi __attribute__((unused));
const struct call_socket *call_socket_abi __attribute__((unused));
enum socket_number socket_numbers __attribute__((unused));
const struct call_value *call_value_abi __attribute__((unused));
enum hook_limit hook_limits __attribute__((unused));
enum value_kind value_kinds __attribute__((unused));
enum value_source value_sources __attribute__((unused));
enum value_flag value_flags __attribute__((unused));
enum call_number number_names __attribute__((unused));
enum comparison comparisons __attribute__((unused));
enum action_flag action_flags __attribute__((unused));
enum call_step call_steps __attribute__((unused));
enum call_flag call_flags __attribute__((unused));
enum call_value_flag call_value_flags __attribute__((unused));
