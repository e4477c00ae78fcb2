/* SPDX-License-Identifier: GPL-2.0-only */
/* What a hook does with a call that one of its selectors matches. Part of hook.h. */
#ifndef TETRAPY_HOOK_ACTION_H
#define TETRAPY_HOOK_ACTION_H

/* What is done with a call that a selector matches. */
struct hook_action {
	__u64 interval; /* ns in which at most one call with the same values is reported; 0: all */
	__u32 flags; /* enum action_flag */
	/* That the process gets when it calls, and when the function returns: a byte for each, the
	 * first one in the lowest.
	 */
	__u32 signals;
	__u32 return_signals;
	__s32 error; /* with ACTION_OVERRIDE: what the function returns */
	/* With ACTION_NOTIFY: what awaits the thread at an enforcer. */
	__s32 notify_error;
	__u32 notify_signal;
	__u32 socket; /* with ACTION_TRACK, ACTION_UNTRACK: its number among those of the hook */
	/* With ACTION_SET: the number of a value with SOURCE_MEMORY, and what becomes of it. */
	__u32 set_argument;
	__u32 set_value;
	__u32 __pad;
};

/* What is counted by selector: what was done, or would have been in a policy that only monitors. */
enum selector_count {
	COUNT_SIGNAL = 0, /* sent */
	COUNT_MONITOR_SIGNAL = 1,
	COUNT_OVERRIDE = 2, /* the function did not run */
	COUNT_MONITOR_OVERRIDE = 3,
	COUNT_NOTIFY_ENFORCER = 4,
	COUNT_MONITOR_NOTIFY_ENFORCER = 5,
	COUNT_FAILED = 6, /* the kernel refused: signals to the first process and to its own
			   * threads, and to write where nothing may be written
			   */
	COUNT_MATCHED = 7, /* calls that it decided on */
	COUNT_SET = 8, /* an argument was written */
	COUNT_MONITOR_SET = 9,
	COUNT_POST =
		10, /* events sent: of a call that is reported together with what it returns one */
	COUNT_NOPOST = 11, /* calls that it decided on and does not report, as its actions say */
	SELECTOR_COUNTS = 12,
};

/* What is counted of a hook: SELECTOR_COUNTS of each selector, and behind them calls. */
enum hook_count {
	COUNT_CALLED = HOOK_SELECTORS * SELECTOR_COUNTS,
	HOOK_COUNTS = COUNT_CALLED + 1,
};

struct hook_counts {
	__u64 counts[HOOK_COUNTS];
};

enum action_flag {
	ACTION_POST = 1, /* the call is reported */
	ACTION_SCOPE_THREAD = 0, /* of the interval */
	ACTION_SCOPE_PROCESS = 8,
	ACTION_SCOPE_GLOBAL = 16,
	ACTION_NOTES_STATE = 32, /* changes are reported once: from now on they are to this state */
	ACTION_KERNEL_STACK = 64, /* is reported too */
	ACTION_USER_STACK = 128,
	ACTION_OVERRIDE = 256, /* the function does not run, and returns `error` */
	ACTION_RETURN_QUIET = 512, /* a call that this selector still matches at its return is not
				    * reported
				    */
	ACTION_NOTIFY = 1024, /* the next function of the policy's enforcers that the thread calls
			       * gets a signal, does not run, or both
			       */
	ACTION_CLEANUP = 2048, /* ... gets none any more */
	ACTION_TRACK = 4096, /* the socket is the thread's: see tracked */
	ACTION_UNTRACK = 8192,
	ACTION_OVERRIDE_LATER = 16384, /* ... which on_enforced_call does, behind this program */
	ACTION_SET = 32768, /* an argument of a static probe is written: see call_set.h */
	ACTION_HASH = 65536, /* the hash of the file is reported too: see call_hash.h */
};

/* When something is done besides reporting. */
enum acts_flag {
	ACTS_AT_CALL = 1,
	ACTS_AT_RETURN = 2,
	ACTS_FOR_OWNER = 4, /* calls with a socket are reported with whose it is */
	ACTS_TRACK_RETURNED = 8, /* the function returns a socket, which is the thread's ... */
	ACTS_UNTRACK_RETURNED = 16,
	ACTS_SET = 32, /* STEP_SET writes arguments */
	ACTS_ON_SOCKETS = ACTS_FOR_OWNER | ACTS_TRACK_RETURNED | ACTS_UNTRACK_RETURNED,
};

/* Policies that act on nobody and count what they would have done, by hook_head.policy. One entry
 * for all hooks of a policy: with it they begin to act, and cease, at the same time.
 */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOOK_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} monitors SEC(".maps");

#endif
