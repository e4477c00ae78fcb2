// SPDX-License-Identifier: Apache-2.0
/* longname AT LENGTH FROM PROGRAM WORD...: in a directory with a name of LENGTH bytes, which only a
 * FUSE file system has where that is more than 255, executes PROGRAM of the directory FROM, which
 * is bound there, with the words behind it. AT is where the file system is mounted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int device;
static char request[1 << 17];

static void reply(__u64 unique, int error, const void *body, size_t size)
{
	struct fuse_out_header header = { sizeof(header) + size, error, unique };
	char out[512];

	memcpy(out, &header, sizeof(header));
	if (size)
		memcpy(out + sizeof(header), body, size);
	if (write(device, out, header.len) < 0)
		perror("reply");
}

/* Each directory has every directory. */
static void serve(void)
{
	struct fuse_in_header *in = (void *)request;
	struct fuse_init_out init = { .major = 7, .minor = 26, .max_write = 65536 };
	struct fuse_attr attributes = { .ino = in->nodeid, .mode = S_IFDIR | 0755, .nlink = 2 };
	struct fuse_attr_out got = { .attr_valid = 1000, .attr = attributes };
	struct fuse_entry_out found = {
		.nodeid = 2, .attr_valid = 1000, .entry_valid = 1000, .attr = attributes
	};

	found.attr.ino = 2;
	if (in->opcode == FUSE_INIT)
		reply(in->unique, 0, &init, sizeof(init));
	else if (in->opcode == FUSE_LOOKUP)
		reply(in->unique, 0, &found, sizeof(found));
	else if (in->opcode == FUSE_GETATTR)
		reply(in->unique, 0, &got, sizeof(got));
	else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET)
		reply(in->unique, in->opcode == FUSE_ACCESS ? 0 : -ENOSYS, 0, 0);
}

static void execute(const char *at, int length, const char *from, char **words)
{
	char path[4096], *program = words[0];
	int used = snprintf(path, sizeof(path), "%s/home", at);

	memset(path + used, 'n', length - 4);
	path[used + length - 4] = 0;
	if (mount(from, path, 0, MS_BIND, 0) || chdir(path)) {
		perror("longname: mount, chdir");
		_exit(1);
	}
	strcat(strcat(path, "/"), program);
	execv(path, words);
	perror("longname: exec");
	_exit(1);
}

int main(int count, char **words)
{
	char options[100];
	int status = 0;
	pid_t server;

	if (count < 5)
		return 2;
	device = open("/dev/fuse", O_RDWR);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d", device,
		 getuid(), getgid());
	if (device < 0 || mount("longname", words[1], "fuse", 0, options)) {
		perror("longname: fuse");
		return 1;
	}
	server = fork();
	while (!server) {
		if (read(device, request, sizeof(request)) >= 0)
			serve();
		else if (errno != EINTR && errno != EAGAIN)
			_exit(0); /* it is not mounted any more */
	}
	close(device);
	if (!fork())
		execute(words[1], atoi(words[2]), words[3], words + 4);
	while (wait(&status) == server)
		;
	kill(server, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
