/*
 * The heap against a plain model with the same operations, at random; its limits; and heaps made of
 * random bytes, in which no operation may reach outside (AddressSanitizer sees it).
 */
#include "respond/script/heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VARIABLES 5
#define COUNTERS  4
#define ITEMS_MAX 64
#define ITEM_MAX  40
#define ROOM      600

static uint32_t draw(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % limit;
}

static void fill(uint64_t *seed, char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)draw(seed, 256);
}

/* The model: no packing, the same rules. */
struct model {
	struct {
		char items[ITEMS_MAX][ROOM];
		size_t lengths[ITEMS_MAX];
		size_t count;
		bool set;
		uint64_t whole; /* 0: as long as what is kept */
	} variables[VARIABLES];
	uint64_t counters[COUNTERS];
};

static size_t number_size(uint64_t number)
{
	size_t n = 0;

	for (; number > 0; number >>= 8)
		n++;
	return n > 0 ? HEAP_CELL + n : 0;
}

static size_t model_size(const struct model *model)
{
	size_t size = 0;

	for (size_t v = 0; v < VARIABLES; v++) {
		for (size_t i = 0; i < model->variables[v].count; i++)
			size += HEAP_CELL + model->variables[v].lengths[i];
		if (model->variables[v].set && model->variables[v].count == 0)
			size += HEAP_CELL;
		size += number_size(model->variables[v].whole);
	}
	for (size_t c = 0; c < COUNTERS; c++)
		size += number_size(model->counters[c]);
	return size;
}

static void model_add(struct model *model, uint32_t v, const char *bytes, size_t length)
{
	size_t i = model->variables[v].count++;

	assert_true(i < ITEMS_MAX);
	(void)memcpy(model->variables[v].items[i], bytes, length);
	model->variables[v].lengths[i] = length;
	model->variables[v].set = true;
	model->variables[v].whole = 0;
}

static bool model_shift(struct model *model, uint32_t v)
{
	size_t count = model->variables[v].count;

	if (count == 0)
		return false;
	for (size_t i = 1; i < count; i++) {
		(void)memcpy(model->variables[v].items[i - 1], model->variables[v].items[i],
			     model->variables[v].lengths[i]);
		model->variables[v].lengths[i - 1] = model->variables[v].lengths[i];
	}
	model->variables[v].count--;
	model->variables[v].whole = 0;
	return true;
}

static void model_append(struct model *model, uint32_t v, const char *bytes, size_t length,
			 bool keep)
{
	uint64_t whole = model->variables[v].whole;
	size_t *kept = &model->variables[v].lengths[0];

	if (model->variables[v].count == 0) {
		model_add(model, v, "", 0);
		whole = 0;
	}
	if (whole == 0)
		whole = *kept;
	/* Here nothing gets as long as SCRIPT_VALUE_MAX. */
	if (keep && whole == *kept) {
		(void)memcpy(model->variables[v].items[0] + *kept, bytes, length);
		*kept += length;
	}
	whole += length;
	model->variables[v].whole = whole == *kept ? 0 : whole;
}

static void assert_same(const struct heap *heap, const struct model *model)
{
	for (uint32_t v = 0; v < VARIABLES; v++) {
		size_t cursor = 0;
		size_t n = 0;
		struct span item;
		uint64_t length = 0;

		while (heap_next(heap, v, &cursor, &item)) {
			assert_true(n < model->variables[v].count);
			assert_int_equal(item.length, model->variables[v].lengths[n]);
			assert_memory_equal(item.bytes, model->variables[v].items[n], item.length);
			n++;
		}
		assert_int_equal(n, model->variables[v].count);
		assert_int_equal(heap_count(heap, v), n);
		assert_int_equal(heap_has(heap, v), model->variables[v].set);
		assert_int_equal(heap_get(heap, v, &item), n > 0);
		if (n > 0)
			length = model->variables[v].whole > 0 ? model->variables[v].whole
							       : model->variables[v].lengths[0];
		assert_int_equal(heap_length(heap, v), length);
	}
	for (uint32_t c = 0; c < COUNTERS; c++)
		assert_int_equal(heap_counter(heap, c), model->counters[c]);
	assert_int_equal(heap->used, model_size(model));
	assert_true(heap_is_sound(heap, VARIABLES, COUNTERS));
}

/* One random operation on both. What the model says fits must fit, and nothing else. */
static void operate(uint64_t *seed, struct heap *heap, struct model *model)
{
	static struct model after;
	uint32_t v = draw(seed, VARIABLES);
	uint32_t c = draw(seed, COUNTERS);
	char bytes[ITEM_MAX];
	const char *from = bytes;
	size_t length = draw(seed, ITEM_MAX + 1);
	uint64_t number = (uint64_t)draw(seed, 70000) << draw(seed, 48);
	struct span own;
	bool keep = draw(seed, 4) > 0;
	int r = 0;

	fill(seed, bytes, length);
	if (draw(seed, 4) == 0 && heap_get(heap, draw(seed, VARIABLES), &own) &&
	    own.length <= ITEM_MAX) {
		/* out of the heap itself */
		length = own.length;
		(void)memcpy(bytes, own.bytes, length);
		from = own.bytes;
	}
	after = *model;
	switch (draw(seed, 7)) {
	case 0:
		after.variables[v].count = 0;
		model_add(&after, v, bytes, length);
		r = heap_set(heap, v, from, length);
		break;
	case 1:
	case 2:
		if (after.variables[v].count == ITEMS_MAX)
			return;
		model_add(&after, v, bytes, length);
		r = heap_add(heap, v, from, length);
		break;
	case 3:
		assert_int_equal(heap_shift(heap, v), model_shift(&after, v));
		break;
	case 4:
		if (draw(seed, 3) > 0)
			return;
		after.variables[v].count = 0;
		after.variables[v].set = false;
		after.variables[v].whole = 0;
		heap_clear(heap, v);
		break;
	case 5:
		model_append(&after, v, bytes, length, keep);
		r = heap_append(heap, v, from, length, keep);
		break;
	case 6:
		after.counters[c] = number;
		r = heap_set_counter(heap, c, number);
		break;
	default:
		fail();
	}
	assert_int_equal(r, model_size(&after) > ROOM ? -ENOSPC : 0);
	if (r == 0)
		*model = after;
}

static void test_model(void **state)
{
	static struct model model;
	char *bytes = malloc(ROOM); /* so that nothing around it may be touched */
	uint64_t seed = 42;

	(void)state;
	assert_non_null(bytes);
	for (int round = 0; round < 20; round++) {
		struct heap heap = {.bytes = bytes, .room = ROOM};

		(void)memset(&model, 0, sizeof(model));
		for (int i = 0; i < 1000; i++) {
			operate(&seed, &heap, &model);
			assert_same(&heap, &model);
		}
	}
	free(bytes);
}

static void test_limits(void **state)
{
	static char bytes[16384];
	static char value[SCRIPT_VALUE_MAX + 1];
	static char copy[sizeof(bytes)];
	struct heap heap = {.bytes = bytes, .room = sizeof(bytes)};
	size_t used;

	(void)state;
	assert_int_equal(heap_set(&heap, 0, value, SCRIPT_VALUE_MAX + 1), -ENOSPC);
	assert_int_equal(heap_add(&heap, 0, value, SCRIPT_VALUE_MAX + 1), -ENOSPC);
	assert_int_equal(heap.used, 0);
	assert_int_equal(heap_set(&heap, 0, value, SCRIPT_VALUE_MAX), 0);
	assert_int_equal(heap_add(&heap, 0, value, SCRIPT_VALUE_MAX), 0);
	/* Two cells so far: this is the last byte that all values together may take. */
	used = SCRIPT_VALUES_MAX - heap.used - HEAP_CELL;
	assert_int_equal(heap_set(&heap, 1, value, used + 1), -ENOSPC);
	assert_int_equal(heap_set(&heap, 1, value, used), 0);
	assert_int_equal(heap.used, SCRIPT_VALUES_MAX);
	/* Full of values: nothing more, nothing changes; but another value in place of one. */
	(void)memcpy(copy, bytes, sizeof(bytes));
	assert_int_equal(heap_set(&heap, 2, "", 0), -ENOSPC);
	assert_int_equal(heap_add(&heap, 0, "", 0), -ENOSPC);
	assert_int_equal(heap_set(&heap, 1, value, used + 1), -ENOSPC);
	assert_int_equal(heap_append(&heap, 1, value, 1, true), -ENOSPC);
	assert_int_equal(heap_append(&heap, 1, value, 1, false), -ENOSPC);
	assert_int_equal(heap.used, SCRIPT_VALUES_MAX);
	assert_memory_equal(copy, bytes, sizeof(bytes));
	assert_int_equal(heap_set(&heap, 1, value, used), 0);
	assert_true(heap_shift(&heap, 0));
	/* Counters may take what is left of the room. */
	for (uint32_t i = 0; i <= HEAP_ID_MAX; i++)
		if (heap_set_counter(&heap, i, UINT64_MAX) < 0)
			break;
	assert_in_range(heap.used, heap.room - HEAP_CELL - 8, heap.room);
	assert_true(heap_is_sound(&heap, 3, HEAP_ID_MAX + 1));
	assert_int_equal(heap_counter(&heap, 0), UINT64_MAX);
	assert_int_equal(heap_set_counter(&heap, 0, 0), 0);
	assert_int_equal(heap_counter(&heap, 0), 0);
}

static void test_collected(void **state)
{
	static char bytes[16384];
	static char piece[1000];
	struct heap heap = {.bytes = bytes, .room = sizeof(bytes)};
	struct span value;

	(void)state;
	for (size_t i = 1; i <= 20; i++) {
		(void)memset(piece, (int)i, sizeof(piece));
		assert_int_equal(heap_append(&heap, 3, piece, sizeof(piece), true), 0);
		assert_int_equal(heap_append(&heap, 4, piece, sizeof(piece), false), 0);
		assert_int_equal(heap_length(&heap, 3), i * sizeof(piece));
		assert_int_equal(heap_length(&heap, 4), i * sizeof(piece));
	}
	assert_true(heap_get(&heap, 3, &value));
	assert_int_equal(value.length, SCRIPT_VALUE_MAX);
	assert_int_equal(value.bytes[SCRIPT_VALUE_MAX - 1], 5);
	assert_true(heap_get(&heap, 4, &value));
	assert_int_equal(value.length, 0);
	/* Set anew, it is as long as it is; emptied, it can begin again. */
	assert_int_equal(heap_set(&heap, 3, "ab", 2), 0);
	assert_int_equal(heap_length(&heap, 3), 2);
	assert_true(heap_shift(&heap, 4));
	assert_int_equal(heap_length(&heap, 4), 0);
	assert_int_equal(heap_append(&heap, 4, "xyz", 3, true), 0);
	assert_int_equal(heap_length(&heap, 4), 3);
	assert_int_equal(heap_count(&heap, 4), 1);
	assert_true(heap_is_sound(&heap, 5, 0));
}

/* A cell as heap.c writes it. */
static size_t put_cell(char *at, unsigned kind, unsigned id, const char *content, size_t length)
{
	uint16_t head[2] = {(uint16_t)(kind << 12 | id), (uint16_t)length};

	(void)memcpy(at, head, sizeof(head));
	(void)memcpy(at + sizeof(head), content, length);
	return sizeof(head) + length;
}

static void test_soundness(void **state)
{
	struct cell {
		unsigned kind, id;
		const char *content;
		size_t length;
	};
	static char large[SCRIPT_VALUE_MAX + 1];
	static const struct {
		struct cell cells[4];
		bool sound;
	} rows[] = {
		{{{0}}, true},
		{{{1, 0, "ab", 2}, {1, 0, "", 0}, {1, 9, "c", 1}}, true},
		{{{1, 10, "ab", 2}}, false},
		{{{2, 0, "", 0}}, true},
		{{{2, 0, "a", 1}}, false},
		{{{2, 0, "", 0}, {2, 0, "", 0}}, false},
		{{{2, 0, "", 0}, {1, 0, "", 0}}, false},
		{{{1, 0, "", 0}, {3, 0, "\1", 1}}, true},
		{{{3, 0, "\1", 1}, {1, 0, "", 0}}, true},
		{{{3, 0, "\1", 1}}, false},
		{{{3, 0, "\1", 1}, {1, 1, "", 0}}, false},
		{{{1, 0, "", 0}, {3, 0, "\1", 1}, {3, 0, "\1", 1}}, false},
		{{{4, 0, "\1", 1}, {4, 4, "\0\1", 2}}, true},
		{{{4, 5, "\1", 1}}, false},
		{{{4, 0, "\1", 1}, {4, 0, "\2", 1}}, false},
		{{{4, 0, "\1\0", 2}}, false},
		{{{4, 0, "", 0}}, false},
		{{{4, 0, "\1\1\1\1\1\1\1\1", 8}}, true},
		{{{4, 0, "\1\1\1\1\1\1\1\1\1", 9}}, false},
		{{{5, 0, "\1", 1}}, false},
		{{{15, 0, "\1", 1}}, false},
		{{{1, 0, large, SCRIPT_VALUE_MAX}}, true},
		{{{1, 0, large, SCRIPT_VALUE_MAX + 1}}, false},
		{{{1, 0, large, SCRIPT_VALUE_MAX},
		  {1, 0, large, SCRIPT_VALUE_MAX},
		  {1, 0, large, SCRIPT_VALUE_MAX - 12}},
		 true},
		{{{1, 0, large, SCRIPT_VALUE_MAX},
		  {1, 0, large, SCRIPT_VALUE_MAX},
		  {1, 0, large, SCRIPT_VALUE_MAX - 11}},
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static char bytes[16384];
		struct heap heap = {.bytes = bytes, .room = sizeof(bytes)};

		for (size_t j = 0; j < 4 && rows[i].cells[j].kind != 0; j++)
			heap.used += put_cell(bytes + heap.used, rows[i].cells[j].kind,
					      rows[i].cells[j].id, rows[i].cells[j].content,
					      rows[i].cells[j].length);
		if (heap_is_sound(&heap, 10, 5) != rows[i].sound)
			fail_msg("row %zu", i);
		if (heap.used == 0)
			continue;
		heap.used--; /* the last cell is cut off */
		assert_false(heap_is_sound(&heap, 10, 5));
		heap.used += 2;
		assert_false(heap_is_sound(&heap, 10, 5));
		heap.used--;
		heap.room = heap.used - 1;
		assert_false(heap_is_sound(&heap, 10, 5));
	}
}

/* Every operation, on whatever is there. */
static void try_all(uint64_t *seed, struct heap *heap)
{
	char bytes[ITEM_MAX] = {0};
	struct span item;
	size_t cursor = 0;
	uint32_t v = draw(seed, VARIABLES);

	(void)heap_has(heap, v);
	(void)heap_length(heap, v);
	(void)heap_counter(heap, v);
	while (heap_next(heap, v, &cursor, &item))
		assert_true(item.bytes >= heap->bytes &&
			    item.bytes + item.length <= heap->bytes + heap->used);
	(void)heap_append(heap, v, bytes, draw(seed, ITEM_MAX), draw(seed, 2) == 0);
	(void)heap_add(heap, v, bytes, draw(seed, ITEM_MAX));
	(void)heap_shift(heap, v);
	(void)heap_set_counter(heap, v, draw(seed, 1000));
	if (heap_get(heap, draw(seed, VARIABLES), &item))
		(void)heap_set(heap, v, item.bytes, item.length);
	if (draw(seed, 4) == 0)
		heap_clear(heap, v);
	assert_true(heap->used <= heap->room);
}

/* Random bytes that look like cells now and then. What passes as sound must stay so. */
static void test_random_bytes(void **state)
{
	uint64_t seed = 7;
	size_t sound = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct heap heap = {.room = 64 + draw(&seed, 64)};

		heap.bytes = malloc(heap.room);
		assert_non_null(heap.bytes);
		fill(&seed, heap.bytes, heap.room);
		while (heap.room - heap.used > 16 && draw(&seed, 5) > 0) {
			char content[9];

			fill(&seed, content, sizeof(content));
			heap.used += put_cell(heap.bytes + heap.used, draw(&seed, 5),
					      draw(&seed, VARIABLES + 1), content,
					      draw(&seed, sizeof(content) + 1));
		}
		if (draw(&seed, 4) == 0)
			heap.used = draw(&seed, (uint32_t)heap.room + 1);
		if (heap_is_sound(&heap, VARIABLES, VARIABLES)) {
			sound++;
			for (int i = 0; i < 10; i++) {
				try_all(&seed, &heap);
				assert_true(heap_is_sound(&heap, VARIABLES, VARIABLES));
			}
		}
		free(heap.bytes);
	}
	assert_in_range(sound, 1000, 19000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),        cmocka_unit_test(test_limits),
		cmocka_unit_test(test_collected),    cmocka_unit_test(test_soundness),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
