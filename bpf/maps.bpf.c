// SPDX-License-Identifier: GPL-2.0-only
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define SHARED
#include "settings.h"
#include "maps.h"
#include "calls.h"
#include "gates.h"
#include "scratch.h"
#include <bpf/bpf_core_read.h>
#include "file.h"
#include "filter_masks.h"
#include "host.h"
#include "rate.h"
#include "share.h"

char LICENSE[] SEC("license") = "GPL";

/* Keeps every structure and enumeration that user space reads in the object's BTF: one that is only
 * cast to would vanish.
 */
const union event *event_abi __attribute__((unused));
const struct exec_context *context_abi __attribute__((unused));
const struct exec_file *file_abi __attribute__((unused));
enum event_kind event_kinds __attribute__((unused));
enum event_limit event_limits __attribute__((unused));
enum exec_flag exec_flags __attribute__((unused));
enum args_area args_areas __attribute__((unused));
enum exec_privilege exec_privileges __attribute__((unused));
enum file_flag file_flags __attribute__((unused));
enum exec_call call_numbers __attribute__((unused));
enum process_state process_states __attribute__((unused));
enum counter counter_numbers __attribute__((unused));
const struct owner *owner_abi __attribute__((unused));
