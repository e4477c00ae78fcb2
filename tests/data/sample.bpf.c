/* SPDX-License-Identifier: GPL-2.0-only */
/* What sample.bpf.o was compiled from, by
 *   clang -target bpf -mcpu=v3 -O2 -g -c sample.bpf.c -o raw.o
 *   llvm-strip -g raw.o && bpftool gen object sample.bpf.o raw.o
 * It has one of each thing that the readers of agent/tetrapy/abi read. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define KERNEL __attribute__((preserve_access_index))
#define __uint(name, value) int (*name)[value]

enum wide { WIDE_BIG = 0x1122334455667788ULL };
enum bpf_prog_type { BPF_PROG_TYPE_KPROBE = 2 };
struct KERNEL list {
	struct list *next;
};
struct KERNEL cred {
	struct {
		u32 val;
	} uid, euid;
};
struct KERNEL task_struct {
	struct list tasks[2];
	union {
		int pid;
		int thread;
	};
	int tgid;
	const struct cred *cred;
	struct task_struct *real_parent;
	u64 start_boottime;
	char comm[16];
	u32 flags : 3;
};
struct KERNEL task_struct___v54 {
	u64 real_start_time;
};
struct KERNEL bpf_prog {
	enum bpf_prog_type type;
};

enum event_kind { EVENT_EXEC = 1, EVENT_EXIT = 2 };
struct header {
	u64 ktime;
	u8 kind;
	u8 __pad[7];
};
struct exec_event {
	struct header header;
	u32 pid;
	s32 error;
	char comm[16];
	_Bool setuid;
	u8 __pad[7];
};
struct exit_event {
	struct header header;
	u64 code;
};
union event {
	struct exec_event exec;
	struct exit_event exit;
};

const volatile u32 limit = 0;
const volatile u64 mask = 0;
const volatile u8 quiet = 0;

struct {
	__uint(type, 6);
	__uint(max_entries, 1);
	u32 *key;
	union event *value;
} scratch SEC(".maps");

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const probe_read)(void *to, u32 size, const void *from) = (void *)4;
static long (*const probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;

static __attribute__((noinline)) u32 read_u32(const void *from)
{
	u32 value = 0;

	probe_read_kernel(&value, sizeof(value), from);
	return value & mask;
}

SEC("raw_tp/sched_process_exec") int on_exec(const u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct bpf_prog *prog = (struct bpf_prog *)ctx[1];
	const struct cred *cred = 0;
	u32 zero = 0;
	union event *event = lookup(&scratch, &zero);

	if (!event || quiet)
		return 0;
	event->exec.header.kind = EVENT_EXEC;
	event->exec.header.ktime = __builtin_preserve_enum_value(*(enum wide *)WIDE_BIG, 1);
	event->exec.pid = read_u32(&task->pid) + read_u32(&task->tasks[1].next);
	event->exec.error = -(int)limit;
	if (__builtin_preserve_field_info(task->start_boottime, 2))
		probe_read(&event->exec.header.ktime, 8, &task->start_boottime);
	else
		probe_read(&event->exec.header.ktime, 8,
			   &((struct task_struct___v54 *)task)->real_start_time);
	probe_read(&cred, sizeof(cred), &task->cred);
	event->exec.setuid = read_u32(&cred->uid.val) != read_u32(&cred->euid.val);
	probe_read(event->exec.comm, sizeof(event->exec.comm), task->comm);
	event->exit.code = __builtin_preserve_field_info(task->flags, 4) +
			   __builtin_preserve_type_info(*(struct cred *)0, 1) +
			   read_u32(&prog->type);
	return 0;
}

enum event_kind kinds;
char license_text[] SEC("license") = "GPL";
