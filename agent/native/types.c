/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types of a kernel that a BPF object asks for, as BTF of their own: 2 % of the kernel's.
 * libbpf compares each type that an object names with all 130,000 of the kernel, and reads them all
 * anew for each object.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "btf.h"

#define BUCKETS 4096 /* of a table of names, a power of two */
#define NAMES 2048

struct names {
	struct name {
		const char *text;
		uint32_t size, hash;
	} names[NAMES];
	uint32_t count;
	uint16_t buckets[BUCKETS]; /* numbers of names, plus one */
};

/* What is being made. */
struct output {
	const struct btf *from;
	uint32_t *places; /* by id: where the type begins in from->types */
	uint32_t *numbers; /* by id: what it is here; 0: not here */
	uint32_t *queue; /* ids in the order of these */
	uint32_t count; /* of all types of the kernel, void included */
	uint32_t made; /* of those that are here, or will be */
	char *types, *strings;
	uint32_t types_size, strings_size, room; /* bytes, of each */
};

/* The name of a type without its flavour: what is behind three underscores (libbpf's
 * bpf_core_essential_name_len()). Its size is 0 where relocations do not ask for such types.
 */
static struct name name_of(const struct btf *btf, const struct type *type)
{
	static const uint32_t asked = 1 << BTF_KIND_INT | 1 << BTF_KIND_STRUCT |
				      1 << BTF_KIND_UNION | 1 << BTF_KIND_ENUM | 1 << BTF_KIND_FWD |
				      1 << BTF_KIND_TYPEDEF | 1 << BTF_KIND_FLOAT |
				      1 << BTF_KIND_ENUM64;
	struct name name = { "", 0, 0 };
	const char *text = name.text;
	uint32_t hash = 2166136261u;
	uint32_t at;

	if (asked >> BTF_INFO_KIND(type->info) & 1 && type->name < btf->strings_size)
		text = name.text = btf->strings + type->name;
	for (at = 0; text[at]; at++) {
		if (text[at] == '_' && at && text[at - 1] != '_' && text[at + 1] == '_' &&
		    text[at + 2] == '_' && text[at + 3] && text[at + 3] != '_') {
			name.size = at;
			name.hash = hash;
		}
		hash = (hash ^ (unsigned char)text[at]) * 16777619;
	}
	if (!name.size) {
		name.size = at;
		name.hash = hash;
	}
	return name;
}

/* Where in the table a name is, or would be. */
static uint16_t *find_name(struct names *names, const struct name *name)
{
	uint32_t at = name->hash;

	for (;; at++) {
		uint16_t *bucket = &names->buckets[at & (BUCKETS - 1)];
		const struct name *known = &names->names[*bucket - 1];

		if (!*bucket || (known->hash == name->hash && known->size == name->size &&
				 !memcmp(known->text, name->text, name->size)))
			return bucket;
	}
}

static int read_names(struct names *names, const struct btf *object)
{
	const struct type *type;
	uint32_t place = 0;

	while ((type = type_at(object, &place))) {
		struct name name = name_of(object, type);
		uint16_t *bucket = find_name(names, &name);

		if (!name.size || *bucket)
			continue;
		if (names->count == NAMES)
			return 0;
		names->names[names->count++] = name;
		*bucket = names->count;
	}
	return place == object->types_size;
}

/* The number here of a type of the kernel. */
static uint32_t take(struct output *out, uint32_t id)
{
	if (!id || id >= out->count)
		return 0;
	if (!out->numbers[id]) {
		out->queue[out->made++] = id;
		out->numbers[id] = out->made;
	}
	return out->numbers[id];
}

static int take_named(struct output *out, struct names *names)
{
	const struct btf *from = out->from;
	const struct type *type;
	uint32_t place = 0, before = 0;

	out->count = 1;
	while ((type = type_at(from, &place))) {
		struct name name = name_of(from, type);
		uint32_t id = out->count++;

		out->places[id] = before;
		before = place;
		if (name.size && *find_name(names, &name))
			take(out, id);
	}
	return place == from->types_size;
}

/* Copies a text that a type refers to. */
static int put_text(struct output *out, uint32_t *word)
{
	const char *text;
	uint32_t size;

	if (!*word)
		return 1;
	if (*word >= out->from->strings_size)
		return 0;
	text = out->from->strings + *word;
	size = strlen(text) + 1;
	if (size > out->room - out->strings_size)
		return 0;
	*word = out->strings_size;
	memcpy(out->strings + out->strings_size, text, size);
	out->strings_size += size;
	return 1;
}

/* Makes what follows a type's head refer to what is here. */
static int put_words(struct output *out, struct type *type)
{
	uint32_t count = words_of(type), step, i;

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_ARRAY:
		type->words[0] = take(out, type->words[0]);
		type->words[1] = take(out, type->words[1]);
		return 1;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		for (i = 0; i < count; i += 3) {
			if (!put_text(out, &type->words[i]))
				return 0;
			type->words[i + 1] = take(out, type->words[i + 1]);
		}
		return 1;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		step = BTF_INFO_KIND(type->info) == BTF_KIND_ENUM ? 2 : 3;
		for (i = 0; i < count; i += step)
			if (!put_text(out, &type->words[i]))
				return 0;
		return 1;
	default:
		return 1;
	}
}

/* Copies a type; what it refers to is taken along, unless by a pointer. */
static int put_type(struct output *out, uint32_t id)
{
	uint32_t place = out->places[id];
	const struct type *from = type_at(out->from, &place);
	struct type *type = (void *)(out->types + out->types_size);
	uint32_t size = place - out->places[id];

	if (size > out->room - out->types_size)
		return 0;
	memcpy(type, from, size);
	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_PTR:
		type->reference = 0;
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		type->reference = take(out, type->reference);
		break;
	case BTF_KIND_FUNC_PROTO: /* what a typedef stands for: nobody asks for more of it */
		type->info &= ~0xffffu;
		type->reference = 0;
		size = sizeof(*type);
		break;
	default:
		break;
	}
	out->types_size += size;
	return put_text(out, &type->name) && put_words(out, type);
}

static size_t put_all(struct output *out, struct names *names, char *to)
{
	struct btf_header head = { .magic = BTF_MAGIC,
				   .version = BTF_VERSION,
				   .hdr_len = sizeof(head) };
	uint32_t i;

	if (!take_named(out, names))
		return 0;
	out->strings_size = 1; /* the first text is empty */
	for (i = 0; i < out->made; i++)
		if (!put_type(out, out->queue[i]))
			return 0;
	head.type_len = head.str_off = out->types_size;
	head.str_len = out->strings_size;
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head) + out->types_size, out->strings, out->strings_size);
	return sizeof(head) + out->types_size + out->strings_size;
}

/* Writes into `to` those types of `kernel`, which is BTF, that `object`, BTF as well, has types of
 * the same names as, and the types that these contain. `to` has room for twice `room` bytes and a
 * header. Returns how many were written; 0 where there is no room, or something else than BTF.
 */
size_t select_types(const char *kernel, size_t size, const char *object, size_t object_size,
		    char *to, uint32_t room)
{
	struct btf from, of_object;
	struct output out = { .from = &from, .room = room };
	struct names *names = calloc(1, sizeof(*names));
	size_t most, written = 0;

	if (!names || !open_btf(&from, kernel, size) || !open_btf(&of_object, object, object_size))
		goto end;
	most = from.types_size / sizeof(struct type) + 1;
	out.places = calloc(most, 3 * sizeof(uint32_t));
	out.strings = malloc(room);
	if (!out.places || !out.strings)
		goto end;
	out.numbers = out.places + most;
	out.queue = out.numbers + most;
	out.types = to + sizeof(struct btf_header);
	out.strings[0] = 0;
	if (room && read_names(names, &of_object))
		written = put_all(&out, names, to);
end:
	free(out.strings);
	free(out.places);
	free(names);
	return written;
}
