/* SPDX-License-Identifier: GPL-2.0-only */
/* What the filters of a tracing policy look at, as numbers of 64 bits in one array. */
#ifndef TETRAPY_CALL_NUMBERS_H
#define TETRAPY_CALL_NUMBERS_H

/* The numbers of a call that filters look at: what was read of each value, and these of the
 * process, each read only where `context` of the hook has its bit.
 */
enum call_number {
	NUMBER_VALUES = 0, /* the first of HOOK_VALUES */
	NUMBER_PID = 8, /* of the process, in the initial pid namespace */
	NUMBER_NAMESPACE_PID = 9, /* in its own */
	NUMBER_UTS_NAMESPACE = 10, /* inode number, as of all namespaces */
	NUMBER_IPC_NAMESPACE = 11,
	NUMBER_MNT_NAMESPACE = 12,
	NUMBER_PID_NAMESPACE = 13,
	NUMBER_PID_FOR_CHILDREN_NAMESPACE = 14,
	NUMBER_NET_NAMESPACE = 15,
	NUMBER_TIME_NAMESPACE = 16,
	NUMBER_TIME_FOR_CHILDREN_NAMESPACE = 17,
	NUMBER_CGROUP_NAMESPACE = 18,
	NUMBER_USER_NAMESPACE = 19,
	NUMBER_PERMITTED = 20, /* capabilities, one bit each */
	NUMBER_EFFECTIVE = 21,
	NUMBER_INHERITABLE = 22,
	/* See lineage.h. */
	NUMBER_FOLLOWED = 23, /* marks */
	NUMBER_PARENT_MARKS = 24,
	NUMBER_PARENT_FOLLOWED = 25,
	NUMBER_NAMESPACE_CHANGES = 26, /* bits in the order of the namespaces above */
	NUMBER_PERMITTED_CHANGES = 27, /* capabilities that came or went */
	NUMBER_EFFECTIVE_CHANGES = 28,
	NUMBER_INHERITABLE_CHANGES = 29,
	NUMBER_FILE_TYPES = 30, /* HOOK_FILE_TYPES of them: S_IFMT of the mode; 0: no file */
	NUMBER_SOCKETS = 32, /* SOCKET_NUMBERS of each, by enum socket_number */
	NUMBER_WORKLOADS = 48, /* marks, see workloads.h */
	NUMBER_MADE = 49, /* the first of those that operations make */
	CALL_NUMBERS = 64, /* a power of two */
};

/* Bits of those that are what a process is in and may do, of how that changed, and of lineage. */
#define STATE_NUMBERS ((1U << (NUMBER_INHERITABLE + 1)) - (1U << NUMBER_UTS_NAMESPACE))
#define CHANGE_NUMBERS ((1U << (NUMBER_INHERITABLE_CHANGES + 1)) - (1U << NUMBER_NAMESPACE_CHANGES))
#define LINEAGE_NUMBERS ((1U << (NUMBER_INHERITABLE_CHANGES + 1)) - (1U << NUMBER_FOLLOWED))

enum socket_number {
	SOCKET_FAMILY = 0,
	SOCKET_TYPE = 1,
	SOCKET_PROTOCOL = 2,
	SOCKET_STATE = 3,
	SOCKET_SOURCE_PORT = 4,
	SOCKET_DESTINATION_PORT = 5,
	SOCKET_NUMBERS = 8,
};

#endif
