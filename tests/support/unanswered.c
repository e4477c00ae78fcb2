// SPDX-License-Identifier: Apache-2.0
/*
 * A process whose memory nobody can read: as an ordinary user, who mounts a FUSE of his own.
 *
 *	unanswered DIRECTORY TAG
 *
 * Reading a page of its file is never answered, so the page stays locked; mapping the file again,
 * for direct I/O, waits for that page, with the lock of the process's memory held. Who reads the
 * arguments of that process waits for the lock. It prints `holder=PID` and `heir=PID`. When its
 * standard input ends, the heir, a child of the holder, executes this program anew with the TAG,
 * prints `again`, and holds the lock of its own memory too. All is over with the first process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { USER = 65534, FILE_SIZE = 1 << 16, ROOT_NODE = 1, FILE_NODE = 2, AGES = 1000 };

static int device;

static void expect(int holds, const char *what)
{
	if (!holds) {
		perror(what);
		exit(1);
	}
}

static void answer(uint64_t request, int error, const void *data, size_t size)
{
	struct {
		struct fuse_out_header header;
		char data[256];
	} out = { { sizeof(out.header) + size, error, request }, "" };

	if (size)
		memcpy(out.data, data, size);
	expect(write(device, &out, out.header.len) > 0 || errno == ENOENT, "answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr found = { .ino = node, .nlink = 1, .blksize = 4096 };

	found.mode = node == ROOT_NODE ? S_IFDIR | 0755 : S_IFREG | 0644;
	found.size = node == ROOT_NODE ? 0 : FILE_SIZE;
	return found;
}

/* Answers what is asked of the file system, but for what a file has in it. */
static void serve(void)
{
	static char request[1 << 17];
	int opened = 0;

	for (;;) {
		struct fuse_in_header *in = (void *)request;
		ssize_t size = read(device, request, sizeof(request));

		if (size < 0) {
			expect(errno == EINTR || errno == EAGAIN || errno == ENOENT, "FUSE");
			continue;
		}
		struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = FILE_SIZE };
		struct fuse_entry_out entry = { .nodeid = FILE_NODE,
						.entry_valid = AGES,
						.attr_valid = AGES,
						.attr = attributes(FILE_NODE) };
		struct fuse_attr_out attr = { AGES, .attr = attributes(in->nodeid) };
		struct fuse_open_out open = { .open_flags = FOPEN_KEEP_CACHE };

		switch (in->opcode) {
		case FUSE_INIT:
			answer(in->unique, 0, &init, sizeof(init));
			break;
		case FUSE_LOOKUP:
			answer(in->unique, 0, &entry, sizeof(entry));
			break;
		case FUSE_GETATTR:
			answer(in->unique, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN: /* the first one reads, by the cache; others map */
			open.open_flags |= opened++ ? FOPEN_DIRECT_IO : 0;
			answer(in->unique, 0, &open, sizeof(open));
			break;
		case FUSE_READ:
		case FUSE_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			answer(in->unique, -ENOSYS, 0, 0);
		}
	}
}

static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	expect(file >= 0 && write(file, text, strlen(text)) > 0, path);
	close(file);
}

/* As udev does it: everybody may open the device. What is mounted is the user's own. */
static void mount_fuse(const char *directory)
{
	char text[64];

	expect(!unshare(CLONE_NEWNS) && !mount("none", "/", 0, MS_REC | MS_PRIVATE, 0), "unshare");
	expect(!mount("none", directory, "tmpfs", 0, "mode=755") && !chdir(directory), "tmpfs");
	expect(!mknod("fuse", S_IFCHR, makedev(10, 229)) && !chmod("fuse", 0666), "mknod");
	expect(!mkdir("mount", 0777), "mkdir");
	expect(!setgroups(0, 0) && !setresgid(USER, USER, USER), "gid");
	expect(!setresuid(USER, USER, USER) && !prctl(PR_SET_DUMPABLE, 1), "uid");
	expect(!unshare(CLONE_NEWUSER | CLONE_NEWNS), "user namespace");
	snprintf(text, sizeof(text), "0 %d 1", USER);
	put("/proc/self/uid_map", text);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/gid_map", text);
	device = open("fuse", O_RDWR);
	expect(device >= 0, "/dev/fuse");
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	expect(!mount("none", "mount", "fuse", 0, text), "mount");
}

static void hold(int file)
{
	mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	_exit(0); /* the file system is gone */
}

int main(int count, char **words)
{
	char byte, number[16];

	if (count > 3) {
		dprintf(1, "again\n");
		hold(atoi(words[3]));
	}
	expect(count == 3, "unanswered DIRECTORY TAG");
	int self = open("/proc/self/exe", O_RDONLY);
	mount_fuse(words[1]);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of the user forgets */
	if (fork())
		serve();
	close(device);
	int reads = open("mount/file", O_RDONLY);
	expect(reads >= 0, "open");
	if (!fork()) {
		_exit(read(reads, &byte, 1) < 0);
	}
	usleep(200000); /* until the page is locked; who is too late finds no lock to wait for */
	int maps = open("mount/file", O_RDONLY);
	expect(maps >= 0, "open again");
	if (!fork()) {
		dprintf(1, "heir=%d\n", getpid());
		while (read(0, &byte, 1) > 0)
			;
		snprintf(number, sizeof(number), "%d", maps);
		char *again[] = { words[0], words[1], words[2], number, 0 };
		fexecve(self, again, environ);
		expect(0, "execute");
	}
	dprintf(1, "holder=%d\n", getpid());
	hold(maps);
}
