/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells tetrapy of a container before anything is executed in it; for OCI hooks (createRuntime).
 *
 *     tetrapy-oci-hook [--fail-closed] [--timeout SECONDS] [--socket PATH]
 *
 * It hands the state that the runtime gives on standard input to the agent, whose answer it awaits.
 * Where there is none in time the container starts all the same; with --fail-closed it does not. It
 * speaks as much of gRPC as one call needs. Containers wait for it, so it is a static program of C:
 * Python takes ten times as long to start as all of this.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET "/run/tetrapy/tetrapy.sock"
#define METHOD "/tetragon.FineGuidanceSensors/RuntimeHook"
/* The annotation of createContainer in which the agent looks for the state. */
#define STATE "tetrapy.oci.state"

enum {
	MAX_TIMEOUT = 3600,  /* seconds */
	MAX_STATE = 1 << 20, /* bytes; more is cut, and makes no sense to the agent */
	MAX_FRAME = 16384,   /* bytes of a frame that every server takes */
	MAX_REST = 1024,      /* bytes of all else that is sent but heads of frames */
	FRAME_HEAD = 9,
};

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4 }; /* types of frames (RFC 9113, 6) */
enum { END_STREAM = 1, END_HEADERS = 4 };

struct buffer {
	uint8_t *data;
	size_t size;
};

/* Until when all has to be over, by the monotonic clock, in seconds. */
static double deadline;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Let the next call for the socket take the time that is left. */
static bool has_time(int fd)
{
	double left = deadline - now();
	struct timeval time = { left, (left - (long)left) * 1e6 };

	if (left < 1e-6) {
		errno = ETIMEDOUT;
		return false;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
	return true;
}

static void put(struct buffer *to, const void *data, size_t size)
{
	memcpy(to->data + to->size, data, size);
	to->size += size;
}

/* A length as protobuf writes it; returns how many bytes that takes. */
static size_t varint(uint8_t *to, size_t size)
{
	size_t at = 0;

	for (; size > 127; size >>= 7)
		to[at++] = size | 128;
	to[at++] = size;
	return at;
}

/* What stands before the bytes of a field of a message. */
static void put_head(struct buffer *to, int number, size_t size)
{
	uint8_t head[11] = { number << 3 | 2 }; /* 2: with a length */

	put(to, head, 1 + varint(head + 1, size));
}

static void put_frame(struct buffer *to, int type, int flags, int stream, const void *data,
		      size_t size)
{
	uint8_t head[FRAME_HEAD] = {
		size >> 16, size >> 8, size, type, flags, 0, 0, 0, stream,
	};

	put(to, head, sizeof(head));
	put(to, data, size);
}

/* RuntimeHookRequest behind gRPC's head: whether it is compressed, and how long it is. */
static void put_message(struct buffer *to, const struct buffer *state)
{
	uint8_t room[64];
	struct buffer sizer = { room, 0 };
	size_t entry, container, message;

	put_head(&sizer, 2, state->size);
	entry = 2 + strlen(STATE) + sizer.size + state->size;
	sizer.size = 0;
	put_head(&sizer, 3, entry);
	container = sizer.size + entry;
	sizer.size = 0;
	put_head(&sizer, 1, container);
	message = sizer.size + container;
	put(to, (uint8_t[]){ 0, message >> 24, message >> 16, message >> 8, message }, 5);
	put_head(to, 1, container); /* createContainer */
	put_head(to, 3, entry);	    /* annotations */
	put_head(to, 1, strlen(STATE));
	put(to, STATE, strlen(STATE));
	put_head(to, 2, state->size);
	put(to, state->data, state->size);
}

/* A header: its number in HPACK's table, or 0 and its name, and a value of at most 126 bytes. */
static void put_header(struct buffer *to, const char *name, size_t size, const char *value)
{
	uint8_t length = strlen(value);

	put(to, name, size);
	put(to, &length, 1);
	put(to, value, length);
}

/* All that is sent. */
static void put_call(struct buffer *to, const struct buffer *message)
{
	uint8_t room[256];
	struct buffer headers = { room, 0 };
	size_t at = 0, size;

	put(&headers, "\x83\x86", 2); /* :method POST, :scheme http */
	put_header(&headers, "\x04", 1, METHOD);
	put_header(&headers, "\x01", 1, "localhost");
	put_header(&headers, "\x0f\x10", 2, "application/grpc");
	put_header(&headers, "\0\2te", 4, "trailers");
	put(to, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	put_frame(to, SETTINGS, 0, 0, "", 0);
	put_frame(to, HEADERS, END_HEADERS, 1, headers.data, headers.size);
	do {
		size = message->size - at < MAX_FRAME ? message->size - at : MAX_FRAME;
		put_frame(to, DATA, at + size == message->size ? END_STREAM : 0, 1,
			  message->data + at, size);
		at += size;
	} while (at < message->size);
}

static bool send_all(int fd, const struct buffer *from)
{
	size_t at = 0;
	ssize_t sent;

	for (; at < from->size; at += sent) {
		if (!has_time(fd))
			return false;
		sent = send(fd, from->data + at, from->size - at, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
	}
	return true;
}

/* So many bytes; those that have no room are dropped. */
static bool receive(int fd, uint8_t *to, size_t room, size_t size)
{
	uint8_t rest[4096];
	ssize_t got;

	while (size) {
		if (!has_time(fd))
			return false;
		got = recv(fd, room ? to : rest,
			   room			 ? room
			   : size < sizeof(rest) ? size
						 : sizeof(rest),
			   0);
		if (got <= 0) {
			errno = got ? errno : ECONNRESET;
			return false;
		}
		size -= got;
		if (room) {
			to += got;
			room -= got;
		}
	}
	return true;
}

/* Whether a reply comes. A call that fails ends without one. */
static bool is_answered(int fd)
{
	uint8_t head[FRAME_HEAD];

	while (receive(fd, head, sizeof(head), sizeof(head))) {
		bool ours = !head[5] && !head[6] && !head[7] && head[8] == 1;

		if (!receive(fd, NULL, 0, head[0] << 16 | head[1] << 8 | head[2]))
			return false;
		if (ours && head[3] == DATA)
			return true;
		if (ours && (head[3] == RST_STREAM || head[4] & END_STREAM)) {
			errno = 0;
			return false;
		}
	}
	return false;
}

/* Whether the agent has answered; else errno says why, 0 that it refused the call. */
static bool call(const char *path, const struct buffer *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t room = state->size + MAX_REST;
	struct buffer message = { malloc(room), 0 };
	struct buffer request = { malloc(room + (room / MAX_FRAME + 1) * FRAME_HEAD), 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(address.sun_path, path);
	if (!message.data || !request.data || fd < 0 || !has_time(fd) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return false;
	put_message(&message, state);
	put_call(&request, &message);
	return send_all(fd, &request) && is_answered(fd);
}

/* What the runtime gives, to its end. */
static void read_state(struct buffer *state)
{
	ssize_t got;

	state->data = malloc(MAX_STATE);
	while (state->data && state->size < MAX_STATE) {
		got = read(STDIN_FILENO, state->data + state->size, MAX_STATE - state->size);
		if (got <= 0)
			return;
		state->size += got;
	}
}

/*
 * The exit code, which a runtime takes for the end of the container unless it is 0. What is wrong
 * with the options is told as any other problem: who set up the hook to fail open would have no
 * container start for a letter.
 */
int main(int count, char **words)
{
	const char *path = SOCKET, *problem = NULL, *about = "";
	struct buffer state = { 0 };
	bool closed = false;
	double timeout = 1;
	char *end;
	int at;

	for (at = 1; at < count; at++)
		closed |= !strcmp(words[at], "--fail-closed");
	for (at = 1; at < count; at++) {
		bool has_value = at + 1 < count;

		if (!strcmp(words[at], "--fail-closed"))
			continue;
		if (!strcmp(words[at], "--socket") && has_value) {
			path = words[++at];
		} else if (!strcmp(words[at], "--timeout") && has_value) {
			timeout = strtod(words[++at], &end);
			if (*end || !(timeout > 0 && timeout <= MAX_TIMEOUT)) {
				about = "--timeout";
				problem = "wants seconds, more than 0 and at most 3600";
			}
		} else {
			about = words[at];
			problem = "is no option of this program";
		}
	}
	if (!problem) {
		deadline = now() + timeout;
		read_state(&state);
		if (call(path, &state))
			return 0;
		about = path;
		problem = errno == EAGAIN ? "no answer in time"
			  : errno	  ? strerror(errno)
					  : "the agent refused the call";
	}
	fprintf(stderr, "tetrapy-oci-hook: %s: %s; %s\n", about, problem,
		closed ? "the container is not started" : "the container starts without it");
	return closed;
}
