/* SPDX-License-Identifier: Apache-2.0 */
/* BTF in memory: its types, one behind the other (Documentation/bpf/btf.rst). Nothing that it says of
 * itself is believed.
 */
#pragma once

#include <linux/btf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A type; words that depend on its kind follow. */
struct type {
	uint32_t name, info, reference; /* or its size */
	uint32_t words[];
};

struct btf {
	const char *types, *strings;
	uint32_t types_size, strings_size;
};

static inline int open_btf(struct btf *btf, const char *data, size_t size)
{
	struct btf_header head;

	if (size < sizeof(head) || size > UINT32_MAX)
		return 0;
	memcpy(&head, data, sizeof(head));
	if (head.magic != BTF_MAGIC || head.hdr_len > size || head.type_off > size - head.hdr_len ||
	    head.type_len > size - head.hdr_len - head.type_off ||
	    head.str_off > size - head.hdr_len || head.str_len > size - head.hdr_len - head.str_off)
		return 0;
	btf->types = data + head.hdr_len + head.type_off;
	btf->types_size = head.type_len;
	btf->strings = data + head.hdr_len + head.str_off;
	btf->strings_size = head.str_len;
	return (uintptr_t)btf->types % sizeof(uint32_t) == 0 && btf->strings_size &&
	       !btf->strings[btf->strings_size - 1];
}

/* How many words follow a type. */
static inline uint32_t words_of(const struct type *type)
{
	uint32_t count = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 1;
	case BTF_KIND_ARRAY:
		return 3;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return 3 * count;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 2 * count;
	default:
		return 0;
	}
}

/* The type at a place, and the place behind it; none at the end, where the rest is too short, and
 * where it is of a kind that is not known.
 */
static inline const struct type *type_at(const struct btf *btf, uint32_t *place)
{
	const struct type *type = (const void *)(btf->types + *place);
	uint32_t left = btf->types_size - *place;
	uint32_t size;

	if (left < sizeof(*type) || BTF_INFO_KIND(type->info) > BTF_KIND_ENUM64)
		return 0;
	size = sizeof(*type) + words_of(type) * sizeof(uint32_t);
	if (left < size)
		return 0;
	*place += size;
	return type;
}
