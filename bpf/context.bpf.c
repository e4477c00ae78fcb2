// SPDX-License-Identifier: GPL-2.0-only
/* What an exec event tells beyond the usual, for those who ask: loaded only then. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "exec.h"

char LICENSE[] SEC("license") = "GPL";

#define S_ISUID 04000 /* include/uapi/linux/stat.h */
#define S_ISGID 02000

/* The number of a namespace; 0 where the kernel is built without that kind, or is older than
 * 769071ac9f20 ("ns: Introduce Time Namespace"), in 5.6.
 */
#define NAMESPACE_OF(structure, from, member)                                                      \
	(bpf_core_field_exists((from)->member) && bpf_core_field_exists(struct structure, ns.inum) \
		 ? BPF_CORE_READ(from, member, ns.inum)                                            \
		 : 0)

static __always_inline void read_namespaces(struct exec_context *context, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *innermost = (void *)pid + bpf_core_field_offset(pid->numbers);
	unsigned int level = BPF_CORE_READ(pid, level);
	struct nsproxy *nsproxy;

	context->user_ns = NAMESPACE_OF(user_namespace, cred, user_ns);
	if (level > 32) /* the kernel's MAX_PID_NS_LEVEL */
		level = 0;
	innermost = (void *)innermost + level * bpf_core_type_size(struct upid);
	context->pid_ns = NAMESPACE_OF(pid_namespace, innermost, ns);
	if (!bpf_core_field_exists(task->nsproxy))
		return;
	nsproxy = BPF_CORE_READ(task, nsproxy);
	context->uts_ns = NAMESPACE_OF(uts_namespace, nsproxy, uts_ns);
	context->ipc_ns = NAMESPACE_OF(ipc_namespace, nsproxy, ipc_ns);
	context->mnt_ns = NAMESPACE_OF(mnt_namespace, nsproxy, mnt_ns);
	context->pid_for_children_ns = NAMESPACE_OF(pid_namespace, nsproxy, pid_ns_for_children);
	context->net_ns = NAMESPACE_OF(net, nsproxy, net_ns);
	context->time_ns = NAMESPACE_OF(time_namespace, nsproxy, time_ns);
	context->time_for_children_ns = NAMESPACE_OF(time_namespace, nsproxy, time_ns_for_children);
	context->cgroup_ns = NAMESPACE_OF(cgroup_namespace, nsproxy, cgroup_ns);
}

static __always_inline __u64 read_capabilities(const struct cred *cred, unsigned long offset)
{
	__u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), (void *)cred + offset);
	return bits;
}

#define CAPABILITIES_OF(cred, member) read_capabilities(cred, bpf_core_field_offset((cred)->member))

static __always_inline void read_credentials(struct exec_context *context, const struct cred *cred)
{
	context->uid = BPF_CORE_READ(cred, uid.val);
	context->gid = BPF_CORE_READ(cred, gid.val);
	context->euid = BPF_CORE_READ(cred, euid.val);
	context->egid = BPF_CORE_READ(cred, egid.val);
	context->suid = BPF_CORE_READ(cred, suid.val);
	context->sgid = BPF_CORE_READ(cred, sgid.val);
	context->fsuid = BPF_CORE_READ(cred, fsuid.val);
	context->fsgid = BPF_CORE_READ(cred, fsgid.val);
	context->securebits = BPF_CORE_READ(cred, securebits);
	context->cap_permitted = CAPABILITIES_OF(cred, cap_permitted);
	context->cap_effective = CAPABILITIES_OF(cred, cap_effective);
	context->cap_inheritable = CAPABILITIES_OF(cred, cap_inheritable);
}

/* The kernel clears personality flags when, and only when, an execution gains rights: by a bit of
 * the file's mode, or by capabilities (bprm_fill_uid() in fs/exec.c, cap_bprm_creds_from_file() in
 * security/commoncap.c). Which it was is distinguished from the new credentials: an execve does not
 * change the real ids. A process that is not root has permitted capabilities without ambient ones
 * only from the file; root has them anew even if it had given them up, unless the bits of the mode
 * explain it.
 */
static __always_inline __u32 find_privileges(const struct exec_context *context,
					     const struct cred *cred, struct linux_binprm *binprm)
{
	__u32 mode = BPF_CORE_READ(binprm, file, f_inode, i_mode);
	__u32 found = 0;

	if (!BPF_CORE_READ(binprm, per_clear))
		return 0;
	if (context->euid != context->uid) {
		found |= EXEC_SETUID;
		if (!context->euid)
			found |= EXEC_SETUID_ROOT;
	}
	if (context->egid != context->gid) {
		found |= EXEC_SETGID;
		if (!context->egid)
			found |= EXEC_SETGID_ROOT;
	}
	if (found & EXEC_SETUID || CAPABILITIES_OF(cred, cap_ambient))
		return found;
	if (context->uid ? context->cap_permitted != 0 : !(mode & (S_ISUID | S_ISGID)))
		found |= EXEC_FILE_CAPS;
	return found;
}

static __always_inline void read_context(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct scratch *scratch = get_scratch();
	struct exec_context context = {};
	struct linux_binprm *binprm;

	if (!scratch)
		return;
	read_credentials(&context, cred);
	read_namespaces(&context, task);
	binprm = scratch->binprm;
	if (binprm) {
		struct inode *inode = BPF_CORE_READ(binprm, file, f_inode);

		context.privileges = find_privileges(&context, cred, binprm);
		if (inode && !BPF_CORE_READ(inode, i_nlink))
			context.inode = BPF_CORE_READ(inode, i_ino);
	}
	bpf_probe_read_kernel(&scratch->data[data_end(scratch)], sizeof(context), &context);
	scratch->event.context_size = sizeof(context);
	scratch->used += sizeof(context);
	submit_exec(ctx, scratch);
}

SEC("?raw_tp")
BEHIND_GATE(on_exec_context, read_context)
