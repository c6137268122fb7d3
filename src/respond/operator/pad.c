/* The queue of orders; see pad.h. */
#include "respond/operator/pad.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "marcel/responder.h"

#define INTAKE 4096
#define MAGIC  UINT64_C(0x316461506c65724d)

/* Reads in one call; what comes while it goes on is for the next one. */
#define READS_MAX 64

/* What is true. */
struct head {
	uint64_t lines;   /* up to here the stream has whole orders */
	uint64_t end;     /* up to here it has bytes: those of one that has begun */
	uint64_t since;   /* when that one began, in this process; else of what is skipped or torn,
			   * when something came last; CLOCK_MONOTONIC */
	uint32_t reading; /* 1: the intake is in use, its bytes from `digested` on count */
	uint32_t digested;
	uint32_t skipping; /* 1: up to the next LF all belongs to an order that was refused */
	uint32_t torn;     /* 1: up to the next LF it is the rest of one that was unfinished */
};

struct pad {
	uint64_t magic;
	_Atomic uint64_t sequence; /* head[sequence & 1] is in force */
	struct head head[2];
	char spare[160];
	char intake[INTAKE];
	char ring[PAD_ROOM]; /* byte k of the stream lies at k % PAD_ROOM */
};
static_assert(sizeof(struct pad) == MARCEL_PAD_SIZE, "it is a pad, wholly used");

/* One call, and what it is told. */
struct filling {
	struct pad *pad;
	uint64_t taken;
	usec_t now;
	pad_refused_fn *refused;
	void *context;
};

static const struct head *in_force(const struct pad *pad)
{
	return &pad->head[atomic_load_explicit(&pad->sequence, memory_order_acquire) & 1];
}

/* Puts NEXT into force. A process that dies leaves what it has written in this order. */
static void commit(struct pad *pad, const struct head *next)
{
	uint64_t sequence = atomic_load_explicit(&pad->sequence, memory_order_relaxed);

	pad->head[(sequence + 1) & 1] = *next;
	atomic_store_explicit(&pad->sequence, sequence + 1, memory_order_release);
}

void pad_reset(void *bytes)
{
	struct pad *pad = bytes;

	(void)memset(pad, 0, offsetof(struct pad, intake));
	pad->magic = MAGIC;
}

bool pad_is_sound(const void *bytes, uint64_t taken)
{
	const struct pad *pad = bytes;
	const struct head *head = in_force(pad);

	return pad->magic == MAGIC && taken <= head->lines && head->lines <= head->end &&
	       head->end - taken <= PAD_ROOM && head->end - head->lines <= PAD_LINE_MAX &&
	       head->digested <= INTAKE && head->reading <= 1 && head->skipping <= 1 &&
	       head->torn <= 1;
}

/* Copies LENGTH bytes into, or out of, the ring from the stream's offset AT on. */
static void put(struct pad *pad, uint64_t at, const char *bytes, size_t length)
{
	size_t from = (size_t)(at % PAD_ROOM);
	size_t first = length < PAD_ROOM - from ? length : PAD_ROOM - from;

	(void)memcpy(pad->ring + from, bytes, first);
	(void)memcpy(pad->ring, bytes + first, length - first);
}

static void get(const struct pad *pad, uint64_t at, char *bytes, size_t length)
{
	size_t from = (size_t)(at % PAD_ROOM);
	size_t first = length < PAD_ROOM - from ? length : PAD_ROOM - from;

	(void)memcpy(bytes, pad->ring + from, first);
	(void)memcpy(bytes + first, pad->ring, length - first);
}

/* Refuses the order that HEAD says has begun, of which PIECE has come now; HEAD forgets it. */
static void refuse(const struct filling *filling, struct head *head, enum pad_refusal refusal,
		   const char *piece, size_t length)
{
	char text[PAD_LINE_MAX];
	size_t begun = (size_t)(head->end - head->lines);

	if (length > sizeof(text) - begun)
		length = sizeof(text) - begun;
	get(filling->pad, head->lines, text, begun);
	if (length > 0)
		(void)memcpy(text + begun, piece, length);
	filling->refused(filling->context, refusal, text, begun + length);
	head->end = head->lines;
}

static usec_t deadline(const struct head *head)
{
	return head->end > head->lines ? clock_deadline(head->since, PAD_PATIENCE) : 0;
}

/* Some of an order that was refused has come, and its end if ENDS. */
static void skip(const struct filling *filling, struct head *head, bool ends)
{
	head->skipping = !ends;
	head->torn = 0;
	head->since = filling->now;
}

/* Takes LENGTH bytes at PIECE, which end an order if ENDS. */
static void take(const struct filling *filling, struct head *head, const char *piece, size_t length,
		 bool ends)
{
	size_t begun;

	if (head->skipping != 0) {
		skip(filling, head, ends);
		return;
	}
	begun = (size_t)(head->end - head->lines);
	if (begun + length > PAD_LINE_MAX) {
		refuse(filling, head, PAD_TOO_LONG, piece, length);
		skip(filling, head, ends);
	} else if (ends && head->torn != 0) {
		refuse(filling, head, PAD_UNFINISHED, piece, length);
		head->torn = 0;
	} else if (head->end - filling->taken + length + 1 > PAD_ROOM) {
		refuse(filling, head, PAD_FULL, piece, length);
		skip(filling, head, ends);
	} else {
		put(filling->pad, head->end, piece, length);
		if (begun == 0)
			head->since = filling->now;
		head->end += length;
		if (!ends)
			return;
		put(filling->pad, head->end, "\n", 1);
		head->lines = ++head->end;
	}
}

/* Gives up, if it is time, waiting for an end: of an order that has begun, whose rest is refused
 * then as well; of such a rest; or of what is skipped. Returns whether HEAD has changed. */
static bool give_up(const struct filling *filling, struct head *head)
{
	bool begun = head->end > head->lines;
	usec_t due = clock_deadline(head->since, PAD_PATIENCE);

	if ((!begun && head->skipping == 0 && head->torn == 0) || due > filling->now)
		return false;
	if (begun)
		refuse(filling, head, PAD_UNFINISHED, NULL, 0);
	head->torn = begun;
	head->skipping = 0;
	head->since = due;
	return true;
}

/* Takes the intake, of which LENGTH bytes are filled, line by line. */
static void digest(const struct filling *filling, size_t length)
{
	struct pad *pad = filling->pad;
	struct head head = *in_force(pad);

	/* Refused first: what has been written must not lie where the head in force says it is. */
	while (length > head.digested && give_up(filling, &head))
		commit(pad, &head);
	while (head.digested < length) {
		const char *piece = pad->intake + head.digested;
		size_t left = length - head.digested;
		const char *end = memchr(piece, '\n', left);
		size_t n = end != NULL ? (size_t)(end - piece) : left;

		take(filling, &head, piece, n, end != NULL);
		head.digested += (uint32_t)(n + (end != NULL));
		if (head.digested < length)
			commit(pad, &head);
	}
	head.reading = 0;
	head.digested = 0;
	commit(pad, &head);
}

void pad_recover(void *bytes, uint64_t taken, usec_t now, pad_refused_fn *refused, void *context)
{
	const struct filling filling = {bytes, taken, now, refused, context};
	struct head head = *in_force(filling.pad);
	size_t length = INTAKE;

	/* That nobody took its rest while no process ran is not the fault of who writes it. */
	if (head.end > head.lines || head.skipping != 0 || head.torn != 0) {
		head.since = now;
		commit(filling.pad, &head);
	}
	if (head.reading == 0)
		return;
	while (length > 0 && filling.pad->intake[length - 1] == '\0')
		length--;
	digest(&filling, length);
}

/* Readies the intake: first it is zeros, then it is said to be in use. */
static void prepare(struct pad *pad)
{
	struct head head = *in_force(pad);

	if (head.reading != 0)
		return;
	(void)memset(pad->intake, 0, sizeof(pad->intake));
	head.reading = 1;
	head.digested = 0;
	commit(pad, &head);
}

int pad_fill(void *bytes, int fd, uint64_t taken, usec_t now, pad_refused_fn *refused,
	     void *context)
{
	const struct filling filling = {bytes, taken, now, refused, context};
	ssize_t n;

	for (unsigned i = 0; i < READS_MAX; i++) {
		prepare(filling.pad);
		n = read(fd, filling.pad->intake, sizeof(filling.pad->intake));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n == 0)
			return -EPIPE;
		if (n < 0)
			break;
		digest(&filling, (size_t)n);
	}
	return in_force(filling.pad)->end > taken;
}

bool pad_next(const void *bytes, uint64_t taken, char *line, size_t *ret_length,
	      uint64_t *ret_taken)
{
	const struct pad *pad = bytes;
	uint64_t waiting = in_force(pad)->lines - taken;
	size_t length = 0;

	if (waiting == 0)
		return false;
	while (length < waiting && length < PAD_LINE_MAX &&
	       pad->ring[(taken + length) % PAD_ROOM] != '\n')
		length++;
	get(pad, taken, line, length);
	*ret_length = length;
	*ret_taken = taken + length + 1;
	return true;
}

bool pad_waits(const void *bytes, uint64_t taken)
{
	return in_force(bytes)->lines > taken;
}

usec_t pad_deadline(const void *bytes)
{
	return deadline(in_force(bytes));
}

void pad_expire(void *bytes, usec_t now, pad_refused_fn *refused, void *context)
{
	const struct filling filling = {bytes, 0, now, refused, context};
	struct head head = *in_force(filling.pad);

	while (give_up(&filling, &head))
		commit(filling.pad, &head);
}

void pad_close(void *bytes, uint64_t taken, usec_t now, pad_refused_fn *refused, void *context)
{
	const struct filling filling = {bytes, taken, now, refused, context};
	struct head head = *in_force(filling.pad);
	const bool begun = head.end > head.lines;

	if (begun)
		refuse(&filling, &head, PAD_UNFINISHED, NULL, 0);
	commit(filling.pad, &(struct head){.lines = taken,
					   .end = taken,
					   .since = now,
					   .skipping = head.skipping,
					   .torn = begun || head.torn != 0});
}
