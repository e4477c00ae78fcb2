/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What crosses from the kernel to Python, and nothing else. Python names the
 * members it wants; their offsets come from the BTF of the compiled object.
 *
 * Rules (the reader in agent/tetrapy/abi/layout.py refuses anything else):
 * explicit padding members, no bitfields, no pointers, no packed. Shared
 * constants are enumerators, because a #define never reaches BTF. Numbers of
 * event kinds are never reused.
 *
 * Every record starts with struct event_header. Variable parts follow the
 * fixed structure in the order in which their sizes are declared.
 */
#ifndef TETRAPY_EVENTS_H
#define TETRAPY_EVENTS_H

enum event_kind {
	EVENT_EXEC = 1,
	EVENT_FORK = 2,
	EVENT_EXIT = 3,
	EVENT_ARGS = 4,
	EVENT_THROTTLE = 5,
	EVENT_CALL = 6,
	EVENT_KINDS = 7, /* not a kind: one more than the largest */
};

/* Sizes of the variable parts, in bytes. Most are one less than a power of two:
 * then a mask proves the bound to the verifiers of old kernels.
 */
enum event_limit {
	PATH_LIMIT = 4095, /* PATH_MAX of the kernel, less the zero byte */
	ARGS_INLINE_LIMIT = 4095, /* longer arguments travel in EVENT_ARGS records */
	ARGS_CHUNK = 16383, /* the most that one EVENT_ARGS record carries */
	ARGS_LIMIT = 262144, /* longer arguments are cut: EXEC_ARGS_TRUNCATED */
	CGROUP_LIMIT = 3839, /* the names of a cgroup and of those above it */
	CGROUP_COMPONENT = 256, /* one of them, NAME_MAX of the kernel with its zero byte */
	CGROUP_NAME = 128, /* the one that EVENT_THROTTLE tells */
	MASKS_PATH = 256, /* bytes of a path with its zero byte, of those that masks are kept for */
};

/* What the kernel side found out about an exec; Python turns it into words. */
enum exec_flag {
	EXEC_PATH_ERROR = 1, /* the file name could not be read */
	EXEC_ARGS_ERROR = 2, /* the arguments could not be read */
	EXEC_ARGS_TRUNCATED = 4, /* only the first ARGS_LIMIT bytes were read */
	EXEC_ARGS_APART = 8, /* arguments came before, in EVENT_ARGS records */
	EXEC_CWD_ROOT = 16, /* the working directory is the process's root */
	EXEC_CWD_PARTIAL = 32, /* the front of the working directory is missing, or there is none:
				* it cannot be reached from the process's root
				*/
	EXEC_CWD_ERROR = 64, /* the working directory could not be read */
	EXEC_CGROUP_ERROR = 128, /* the cgroup could not be read */
	EXEC_CGROUP_PARTIAL = 256, /* the outer part of the cgroup's path is missing */
	EXEC_CLONED = 512, /* the first exec since the fork; fork_parent_* are set */
	EXEC_SUPPRESSED = 1024, /* the image was suppressed, and is reported only because the
				   process forks: no event */
	EXEC_ENV_ERROR = 2048, /* the environment could not be read, or only in part */
	EXEC_CWD_DELETED = 4096, /* the working directory has been removed */
	EXEC_FILE_UNREPORTED =
		8192, /* the file is not what the path says, and what it is is not reported */
};

/* What EVENT_ARGS records carry chunks of. */
enum args_area {
	AREA_ARGS = 0,
	AREA_ENV = 1,
};

/* What is to be known of the file that was executed. */
enum file_flag {
	FILE_DELETED = 1, /* it has no name any more */
	FILE_FOREIGN = 2, /* it cannot be reached from the host's root, or the process's root is
			   * another: the host's first process would find another file there
			   */
	FILE_INTERPRETER = 4, /* of the script that was asked for */
	FILE_PARTIAL = 8, /* the front of its path is missing */
};

/* What made an execution privileged. */
enum exec_privilege {
	EXEC_SETUID = 1, /* the effective uid is not the real one */
	EXEC_SETUID_ROOT = 2, /* ... and it is root's */
	EXEC_SETGID = 4,
	EXEC_SETGID_ROOT = 8,
	EXEC_FILE_CAPS = 16, /* capabilities came from the file */
};

struct event_header {
	__u64 ktime; /* ns; see clock in the object's flavour (maps.h) */
	__u32 size; /* bytes of the whole record */
	__u16 cpu;
	__u8 kind; /* enum event_kind */
	__u8 __pad;
};

/* An execve that succeeded. Followed by path, args, cwd, cgroup, context, file. */
struct exec_event {
	struct event_header header;
	__u64 start; /* ns since boot, suspend included: when the process was forked */
	__u64 parent_start; /* the same of its parent */
	__u64 fork_parent_start; /* of its parent when it was forked; see EXEC_CLONED */
	__u64 cgroup_id; /* of the cgroup that tells of containers: see cgroup_node() */
	__u32 pid; /* thread group id in the initial pid namespace */
	__u32 parent_pid;
	__u32 fork_parent_pid;
	__u32 uid; /* effective */
	__u32 auid; /* login uid; 4294967295 when unset */
	__u32 inner_pid; /* pid in its own pid namespace; 0 in the initial one */
	__u32 flags; /* enum exec_flag */
	__u32 path_size; /* without a closing zero byte, as all sizes here */
	__u32 args_size; /* as the kernel keeps them: argv[0] first, each ended by a zero byte */
	__u32 cwd_size;
	__u32 cgroup_size; /* names from the leaf outwards, each ended by a zero byte */
	__u32 context_size; /* of struct exec_context, or 0 */
	__u32 file_size; /* of struct exec_file and the file's path behind it, or 0: see file.h */
	__u32 env_size; /* of the environment in EVENT_ARGS records ahead of this one */
	__u32 deferred_children; /* that run the image which is replaced */
	__u32 real_uid; /* who runs a program that is setuid */
};

/* The file that was executed in the end. Followed by its path, from the host's root if it can be
 * reached from there.
 */
struct exec_file {
	__u64 inode;
	__u32 device; /* major number << 20 | minor number; 0 where this kernel's types do not tell
		       */
	__u32 links;
	__u32 flags; /* enum file_flag */
	__u32 __pad;
};

/* Credentials, namespaces and privilege changes of the exec. */
struct exec_context {
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u64 inode; /* of a binary without a name; 0 for others */
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 securebits;
	__u32 privileges; /* enum exec_privilege */
	/* Inode numbers of the namespaces; 0 where the kernel has none of the kind. */
	__u32 uts_ns;
	__u32 ipc_ns;
	__u32 mnt_ns;
	__u32 pid_ns;
	__u32 pid_for_children_ns;
	__u32 net_ns;
	__u32 time_ns;
	__u32 time_for_children_ns;
	__u32 cgroup_ns;
	__u32 user_ns;
};

/* A chunk of long arguments or of the environment; its exec event has the same pid and ktime. */
struct args_event {
	struct event_header header;
	__u32 pid;
	__u32 offset;
	__u32 args_size; /* bytes that follow */
	__u32 area; /* enum args_area */
};

/* A new thread group. Told when it forks itself or ends; one that executes first is reported by its
 * exec event alone.
 */
struct fork_event {
	struct event_header header;
	__u64 start;
	__u64 parent_start;
	__u64 creator_start;
	__u32 pid;
	__u32 parent_pid; /* real parent: differs from the creator with CLONE_PARENT */
	__u32 creator_pid; /* whose image the new process runs */
	__u32 inner_pid;
};

/* The last thread of a thread group is gone. */
struct exit_event {
	struct event_header header;
	__u64 start;
	__u32 pid;
	__u32 code; /* as wait(2) reports it */
	__u32 deferred_children; /* that run an image of this process */
	__u32 __pad;
};

/* A cgroup makes too many events. Followed by its name. */
struct throttle_event {
	struct event_header header;
	__u64 cgroup_id;
	__u32 cgroup_size;
	__u32 __pad;
};

enum call_flag {
	CALL_RETURNED = 1, /* the function returned; the value it returned is among the values */
	CALL_PROCESS_UNREPORTED = 2, /* user space does not know the image of the process */
	CALL_UNWANTED = 4, /* of one that returned: no selector wants it reported any more */
	CALL_CHUNK = 8, /* not a call, but more bytes of a value of the one whose record follows */
	CALL_UNKNOWN_WORKLOAD = 16, /* user space decides which selectors are for the process */
	CALL_RETURN_LOST = 32, /* no record comes when it returns: its owner has too many waiting */
	CALL_HASH_FOLLOWS = 64, /* in a record with CALL_RETURNED */
};

#define CALL_SELECTORS_SHIFT 8

/* A call that a tracing policy reports. Followed by a struct call_value and its bytes for each
 * value that was read.
 */
struct call_event {
	struct event_header header;
	__u64 start; /* of the process */
	__u32 pid;
	__u32 tid;
	__u32 hook; /* number that user space gave it when it attached the program */
	__u32 selector; /* the first that matched; with CALL_UNKNOWN_WORKLOAD the bits of all that
			 * did are in those from CALL_SELECTORS_SHIFT on
			 */
	__u32 flags; /* enum call_flag */
	__u32 values_size; /* bytes of all values with their headers */
};

enum call_value_flag {
	CALL_VALUE_ERROR = 1, /* it could not be read */
	CALL_VALUE_CUT = 2, /* there is more of it */
	CALL_VALUE_PARTIAL = 4, /* a path whose front is missing */
	CALL_VALUE_DELETED = 8, /* a path of a file that has no name any more */
	CALL_VALUE_ABSTRACT = 16, /* an address of a unix socket that is no path */
};

/* The bytes of a value that is a socket or an address of one. */
struct call_socket {
	__u8 source[16]; /* of IPv4 in the first four bytes */
	__u8 destination[16];
	__u64 cookie; /* the kernel's address of the socket */
	__u32 mark;
	__u32 priority;
	__u16 family;
	__u16 type;
	__u16 protocol;
	__u16 source_port;
	__u16 destination_port;
	__u8 state;
	__u8 __pad[5];
};

struct call_value {
	__u16 index; /* of the hook's values */
	__u16 flags; /* enum call_value_flag */
	__u32 size; /* bytes that follow */
	__u32 detail; /* of a file: its mode; of bytes: how many there were; of the address of a
		       * unix socket: its family
		       */
	__u32 __pad;
};

union event {
	struct exec_event exec;
	struct fork_event fork;
	struct exit_event exit;
	struct args_event args;
	struct throttle_event throttle;
	struct call_event call;
};

#endif
