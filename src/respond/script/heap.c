/*
 * The heap: variables and counters in cells; see heap.h.
 *
 * A cell is two 16-bit numbers, its kind and id in one, its length in the other, then its content.
 * Each walk checks every cell against `used`, so it reads nothing else even if the heap is not
 * sound. A change first works out what the heap will hold afterwards, and is made only if that
 * fits.
 */
#include "respond/script/heap.h"

#include <errno.h>
#include <string.h>

/* Kinds of cells; 0 is none, so that zeroed bytes are not sound. */
enum cell_kind {
	CELL_ITEM = 1,    /* of a variable; those of one in their order */
	CELL_EMPTIED = 2, /* the variable was set, but has no item any more; no content */
	CELL_LENGTH = 3,  /* of what was appended to the variable, as more than is kept; a number */
	CELL_COUNTER =
		4, /* a number: little-endian, no zero byte at the end, 0 is no cell at all */
};
#define CELL_KINDS (CELL_COUNTER + 1)

#define ID_BITS    12
#define NUMBER_MAX sizeof(uint64_t)

struct cell {
	size_t at; /* where it begins */
	unsigned kind;
	uint32_t id;
	struct span content;
};

/* The cell at *AT; moves *AT behind it. Returns false at the end. */
static bool next_cell(const struct heap *heap, size_t *at, struct cell *cell)
{
	uint16_t head[2];

	if (heap->used - *at < HEAP_CELL)
		return false;
	(void)memcpy(head, heap->bytes + *at, HEAP_CELL);
	if (head[1] > heap->used - *at - HEAP_CELL)
		return false;
	cell->at = *at;
	cell->kind = head[0] >> ID_BITS;
	cell->id = head[0] & HEAP_ID_MAX;
	cell->content.bytes = heap->bytes + *at + HEAP_CELL;
	cell->content.length = head[1];
	*at += HEAP_CELL + head[1];
	return true;
}

static void write_head(struct heap *heap, size_t at, enum cell_kind kind, uint32_t id,
		       size_t length)
{
	uint16_t head[2] = {(uint16_t)((unsigned)kind << ID_BITS | id), (uint16_t)length};

	(void)memcpy(heap->bytes + at, head, HEAP_CELL);
}

static bool find_cell(const struct heap *heap, enum cell_kind kind, uint32_t id, struct cell *cell)
{
	size_t at = 0;

	while (next_cell(heap, &at, cell))
		if (cell->kind == kind && cell->id == id)
			return true;
	return false;
}

/* Takes LENGTH bytes out at AT. */
static void cut(struct heap *heap, size_t at, size_t length)
{
	(void)memmove(heap->bytes + at, heap->bytes + at + length, heap->used - at - length);
	heap->used -= length;
}

static void cut_cell(struct heap *heap, const struct cell *cell)
{
	cut(heap, cell->at, HEAP_CELL + cell->content.length);
}

/* Takes the cells of KIND that variable ID has. */
static void cut_all(struct heap *heap, enum cell_kind kind, uint32_t id)
{
	struct cell cell;

	while (find_cell(heap, kind, id, &cell))
		cut_cell(heap, &cell);
}

/* Puts a cell at the end, where there is room. */
static void put_cell(struct heap *heap, enum cell_kind kind, uint32_t id, struct span content)
{
	write_head(heap, heap->used, kind, id, content.length);
	if (content.length > 0)
		(void)memcpy(heap->bytes + heap->used + HEAP_CELL, content.bytes, content.length);
	heap->used += HEAP_CELL + content.length;
}

/* What all cells but counters take. */
static size_t values_size(const struct heap *heap)
{
	struct cell cell;
	size_t at = 0;
	size_t size = 0;

	while (next_cell(heap, &at, &cell))
		if (cell.kind != CELL_COUNTER)
			size += HEAP_CELL + cell.content.length;
	return size;
}

/* What the cells of variable ID take. */
static size_t variable_size(const struct heap *heap, uint32_t id)
{
	struct cell cell;
	size_t at = 0;
	size_t size = 0;

	while (next_cell(heap, &at, &cell))
		if (cell.kind != CELL_COUNTER && cell.id == id)
			size += HEAP_CELL + cell.content.length;
	return size;
}

/* What the cell of KIND with ID takes, 0 if there is none. */
static size_t cell_size(const struct heap *heap, enum cell_kind kind, uint32_t id)
{
	struct cell cell;

	return find_cell(heap, kind, id, &cell) ? HEAP_CELL + cell.content.length : 0;
}

/* Whether MORE bytes of values fit when LESS are gone. */
static bool values_fit(const struct heap *heap, size_t more, size_t less)
{
	return values_size(heap) + more <= SCRIPT_VALUES_MAX + less &&
	       heap->used + more <= heap->room + less;
}

/* LENGTH bytes at BYTES, copied to BUFFER if they are the heap's own, which are about to move. */
static struct span stay(const struct heap *heap, char buffer[SCRIPT_VALUE_MAX], const char *bytes,
			size_t length)
{
	uintptr_t start = (uintptr_t)heap->bytes;

	if (length > 0 && (uintptr_t)bytes >= start && (uintptr_t)bytes < start + heap->room) {
		(void)memcpy(buffer, bytes, length);
		bytes = buffer;
	}
	return (struct span){.bytes = bytes, .length = length};
}

bool heap_has(const struct heap *heap, uint32_t variable)
{
	struct cell cell;

	return find_cell(heap, CELL_ITEM, variable, &cell) ||
	       find_cell(heap, CELL_EMPTIED, variable, &cell);
}

bool heap_get(const struct heap *heap, uint32_t variable, struct span *ret_value)
{
	size_t cursor = 0;

	return heap_next(heap, variable, &cursor, ret_value);
}

int heap_set(struct heap *heap, uint32_t variable, const char *value, size_t length)
{
	char buffer[SCRIPT_VALUE_MAX];
	struct span content;

	if (length > SCRIPT_VALUE_MAX ||
	    !values_fit(heap, HEAP_CELL + length, variable_size(heap, variable)))
		return -ENOSPC;
	content = stay(heap, buffer, value, length);
	heap_clear(heap, variable);
	put_cell(heap, CELL_ITEM, variable, content);
	return 0;
}

void heap_clear(struct heap *heap, uint32_t variable)
{
	cut_all(heap, CELL_ITEM, variable);
	cut_all(heap, CELL_EMPTIED, variable);
	cut_all(heap, CELL_LENGTH, variable);
}

int heap_add(struct heap *heap, uint32_t variable, const char *item, size_t length)
{
	char buffer[SCRIPT_VALUE_MAX];
	struct span content;
	size_t gone =
		cell_size(heap, CELL_EMPTIED, variable) + cell_size(heap, CELL_LENGTH, variable);

	if (length > SCRIPT_VALUE_MAX || !values_fit(heap, HEAP_CELL + length, gone))
		return -ENOSPC;
	content = stay(heap, buffer, item, length);
	cut_all(heap, CELL_EMPTIED, variable);
	cut_all(heap, CELL_LENGTH, variable);
	put_cell(heap, CELL_ITEM, variable, content);
	return 0;
}

bool heap_shift(struct heap *heap, uint32_t variable)
{
	struct cell cell;
	bool last = heap_count(heap, variable) == 1;

	if (!find_cell(heap, CELL_ITEM, variable, &cell))
		return false;
	if (last) {
		cut(heap, cell.at + HEAP_CELL, cell.content.length);
		write_head(heap, cell.at, CELL_EMPTIED, variable, 0);
	} else {
		cut_cell(heap, &cell);
	}
	cut_all(heap, CELL_LENGTH, variable);
	return true;
}

size_t heap_count(const struct heap *heap, uint32_t variable)
{
	struct span item;
	size_t cursor = 0;
	size_t count = 0;

	while (heap_next(heap, variable, &cursor, &item))
		count++;
	return count;
}

bool heap_next(const struct heap *heap, uint32_t variable, size_t *cursor, struct span *ret_item)
{
	struct cell cell;

	while (next_cell(heap, cursor, &cell))
		if (cell.kind == CELL_ITEM && cell.id == variable) {
			*ret_item = cell.content;
			return true;
		}
	return false;
}

/* Writes NUMBER to BYTES; returns how many it takes. */
static size_t write_number(char bytes[NUMBER_MAX], uint64_t number)
{
	size_t n = 0;

	for (; number > 0; number >>= 8)
		bytes[n++] = (char)(number & 0xFF);
	return n;
}

static uint64_t read_number(const struct span *content)
{
	uint64_t number = 0;

	for (size_t i = 0; i < content->length && i < NUMBER_MAX; i++)
		number |= (uint64_t)(unsigned char)content->bytes[i] << (8 * i);
	return number;
}

/* Makes the number of KIND and ID the N bytes at DIGITS, for which there is room. */
static void put_number(struct heap *heap, enum cell_kind kind, uint32_t id,
		       const char digits[NUMBER_MAX], size_t n)
{
	struct cell cell;

	if (find_cell(heap, kind, id, &cell) && cell.content.length == n) {
		(void)memcpy(heap->bytes + cell.at + HEAP_CELL, digits, n);
		return;
	}
	cut_all(heap, kind, id);
	if (n > 0)
		put_cell(heap, kind, id, (struct span){.bytes = digits, .length = n});
}

/* Puts MORE behind the value of VARIABLE, which has one. */
static void grow(struct heap *heap, uint32_t variable, struct span more)
{
	struct cell cell;
	size_t end;

	if (more.length == 0 || !find_cell(heap, CELL_ITEM, variable, &cell))
		return;
	end = cell.at + HEAP_CELL + cell.content.length;
	(void)memmove(heap->bytes + end + more.length, heap->bytes + end, heap->used - end);
	(void)memcpy(heap->bytes + end, more.bytes, more.length);
	write_head(heap, cell.at, CELL_ITEM, variable, cell.content.length + more.length);
	heap->used += more.length;
}

int heap_append(struct heap *heap, uint32_t variable, const char *bytes, size_t length, bool keep)
{
	char buffer[SCRIPT_VALUE_MAX];
	char digits[NUMBER_MAX];
	struct cell cell;
	bool has_item = find_cell(heap, CELL_ITEM, variable, &cell);
	size_t kept = has_item ? cell.content.length : 0;
	uint64_t whole = heap_length(heap, variable);
	struct span more = {.bytes = bytes, .length = 0};
	size_t n = 0;

	/* Nothing is kept of what follows something that was not. */
	if (keep && whole == kept && kept < SCRIPT_VALUE_MAX)
		more.length = length < SCRIPT_VALUE_MAX - kept ? length : SCRIPT_VALUE_MAX - kept;
	whole = length > UINT64_MAX - whole ? UINT64_MAX : whole + length;
	if (whole > kept + more.length)
		n = write_number(digits, whole);
	if (!values_fit(heap,
			more.length + (has_item ? 0 : HEAP_CELL) + (n > 0 ? HEAP_CELL + n : 0),
			cell_size(heap, CELL_EMPTIED, variable) +
				cell_size(heap, CELL_LENGTH, variable)))
		return -ENOSPC;
	more = stay(heap, buffer, more.bytes, more.length);
	cut_all(heap, CELL_EMPTIED, variable);
	if (n == 0) {
		cut_all(heap, CELL_LENGTH, variable);
	}
	if (!has_item)
		put_cell(heap, CELL_ITEM, variable, (struct span){.bytes = NULL, .length = 0});
	grow(heap, variable, more);
	if (n > 0)
		put_number(heap, CELL_LENGTH, variable, digits, n);
	return 0;
}

uint64_t heap_length(const struct heap *heap, uint32_t variable)
{
	struct cell cell;

	if (find_cell(heap, CELL_LENGTH, variable, &cell))
		return read_number(&cell.content);
	return find_cell(heap, CELL_ITEM, variable, &cell) ? cell.content.length : 0;
}

uint64_t heap_counter(const struct heap *heap, uint32_t id)
{
	struct cell cell;

	return find_cell(heap, CELL_COUNTER, id, &cell) ? read_number(&cell.content) : 0;
}

int heap_set_counter(struct heap *heap, uint32_t id, uint64_t value)
{
	char digits[NUMBER_MAX];
	size_t n = write_number(digits, value);

	if (heap->used + (n > 0 ? HEAP_CELL + n : 0) >
	    heap->room + cell_size(heap, CELL_COUNTER, id))
		return -ENOSPC;
	put_number(heap, CELL_COUNTER, id, digits, n);
	return 0;
}

/* A set of ids. */
struct ids {
	uint64_t bits[(HEAP_ID_MAX + 1) / 64];
};

static bool has_id(const struct ids *ids, uint32_t id)
{
	return (ids->bits[id / 64] >> (id % 64) & 1) != 0;
}

/* Whether CELL by itself can be; SEEN has the ids of those before it. */
static bool cell_is_sound(const struct cell *cell, const struct ids seen[CELL_KINDS])
{
	switch (cell->kind) {
	case CELL_ITEM:
		return cell->content.length <= SCRIPT_VALUE_MAX;
	case CELL_EMPTIED:
		return cell->content.length == 0 && !has_id(&seen[CELL_EMPTIED], cell->id);
	case CELL_LENGTH:
	case CELL_COUNTER:
		return cell->content.length > 0 && cell->content.length <= NUMBER_MAX &&
		       cell->content.bytes[cell->content.length - 1] != '\0' &&
		       !has_id(&seen[cell->kind], cell->id);
	default:
		return false;
	}
}

bool heap_is_sound(const struct heap *heap, size_t n_variables, size_t n_counters)
{
	struct ids seen[CELL_KINDS] = {{{0}}};
	struct cell cell;
	size_t at = 0;

	if (heap->used > heap->room)
		return false;
	while (next_cell(heap, &at, &cell)) {
		if (!cell_is_sound(&cell, seen) ||
		    cell.id >= (cell.kind == CELL_COUNTER ? n_counters : n_variables))
			return false;
		seen[cell.kind].bits[cell.id / 64] |= UINT64_C(1) << (cell.id % 64);
	}
	for (uint32_t id = 0; id <= HEAP_ID_MAX; id++) {
		bool item = has_id(&seen[CELL_ITEM], id);

		if ((item && has_id(&seen[CELL_EMPTIED], id)) ||
		    (!item && has_id(&seen[CELL_LENGTH], id)))
			return false;
	}
	return at == heap->used && values_size(heap) <= SCRIPT_VALUES_MAX;
}
