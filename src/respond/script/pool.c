/*
 * Workplaces for pcre2_match(): made when needed, a few kept; see pattern-priv.h.
 *
 * One that had to grow beyond KEPT_BYTES_MAX is not kept, so neither one long message nor many
 * conversations at the same time leave memory behind. At most POOL_MAX are kept, for the life of
 * the process. Every compare looks at the thread's processor time now and then (see busy()).
 */
#include <stdlib.h>

#include "base/lock.h"
#include "respond/script/pattern-priv.h"

#define POOL_MAX       8
#define KEPT_BYTES_MAX ((size_t)64 * 1024)

/* Backtracking of one compare, in KiB: some 15,000 places to go back to. */
#define HEAP_KIB_MAX 2048
/* Beyond what 10 ms allow; should the clock fail us. */
#define MATCH_LIMIT 10000000

/* A compare may take so much of its thread's processor time... */
#define BUDGET_NSEC UINT64_C(8000000)
/* ...which is looked at once in so many steps. A step may take as long as reading the message, so
 * it counts once more for each STEP_BYTES of that. */
#define STEPS_BETWEEN 32
#define STEP_BYTES    65536

static struct {
	struct lock lock;
	struct workplace *places[POOL_MAX];
	size_t count;
} pool = {.lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .name = "workplaces"}};

uint64_t processor_time(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* A callout, before each item of the regex: stops the compare when its time is up. */
static int busy(pcre2_callout_block *block, void *context)
{
	struct workplace *place = context;

	place->steps += 1 + block->subject_length / STEP_BYTES;
	if (place->steps < STEPS_BETWEEN)
		return 0;
	place->steps = 0;
	/* Most compares are done before the clock is looked at. */
	if (place->started == 0) {
		place->started = processor_time();
		return 0;
	}
	return processor_time() - place->started > BUDGET_NSEC ? PCRE2_ERROR_MATCHLIMIT : 0;
}

/* PCRE2's memory: each block remembers its size, so that the workplace knows what it holds. */
union block {
	size_t size;
	max_align_t align;
};

static void *allocate(size_t size, void *context)
{
	struct workplace *place = context;
	union block *block = malloc(sizeof(*block) + size);

	if (block == NULL)
		return NULL;
	block->size = size;
	place->held += size;
	return block + 1;
}

static void release(void *memory, void *context)
{
	struct workplace *place = context;
	union block *block = memory;

	if (block == NULL)
		return;
	block--;
	place->held -= block->size;
	free(block);
}

static void workplace_free(struct workplace *place)
{
	pcre2_match_data_free(place->data);
	pcre2_match_context_free(place->context);
	pcre2_general_context_free(place->general);
	free(place);
}

static struct workplace *workplace_new(void)
{
	struct workplace *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return NULL;
	place->general = pcre2_general_context_create(allocate, release, place);
	if (place->general != NULL) {
		place->context = pcre2_match_context_create(place->general);
		place->data = pcre2_match_data_create(GROUPS_MAX + 1, place->general);
	}
	if (place->context == NULL || place->data == NULL) {
		workplace_free(place);
		return NULL;
	}
	(void)pcre2_set_match_limit(place->context, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(place->context, HEAP_KIB_MAX);
	(void)pcre2_set_callout(place->context, busy, place);
	return place;
}

struct workplace *workplace_take(void)
{
	struct workplace *place = NULL;

	lock_take(&pool.lock);
	if (pool.count > 0)
		place = pool.places[--pool.count];
	lock_drop(&pool.lock);
	if (place == NULL)
		place = workplace_new();
	if (place != NULL) {
		place->steps = 0;
		place->started = 0;
	}
	return place;
}

void workplace_give(struct workplace *place)
{
	if (place->held <= KEPT_BYTES_MAX) {
		lock_take(&pool.lock);
		if (pool.count < POOL_MAX) {
			pool.places[pool.count++] = place;
			place = NULL;
		}
		lock_drop(&pool.lock);
	}
	if (place != NULL)
		workplace_free(place);
}
