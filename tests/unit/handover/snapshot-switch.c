/*
 * Snapshots of conversations whose responders were switched (converse/slot.h, note on switching):
 * who answers, who is suspended, both states and the pad are carried as they are; a tail that makes
 * no sense is refused.
 */
#include "../converse/theatre.h"

/* The linker's names for what it wraps are not ours to choose. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */
void __wrap_record_event(void);
void __wrap_record_said_by(void);

void __wrap_record_event(void)
{
}

void __wrap_record_said_by(void)
{
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */

/* Fills the pad, and says that it is used. */
static void use_pad(struct theatre *t)
{
	struct turn turn;

	for (size_t i = 0; i < MARCEL_PAD_SIZE; i++)
		t->c.slot.far->pad[i] = (char)(i * 31 % 251);
	turn_begin(&turn, &t->c);
	turn.next->more |= MORE_PAD;
	turn_commit(&turn);
}

/* Reads what T's slot says, writes it into a slot of another table, and reads that. */
static void carry(const struct theatre *t)
{
	struct snapshot found = theatre_found(t), again;
	const struct slot_turn *turn = &found.turn;
	struct snapshot_layout layout;
	struct table table;
	struct slot slot;

	assert_int_equal(table_init(&table, 2), 0);
	table.header->used = 2;
	slot = table_slot(&table, 1);
	snapshot_write_slot(&found, &slot);
	assert_int_equal(snapshot_read_header(table.header, sizeof(*table.header), table.size,
					      &layout),
			 0);
	assert_int_equal(snapshot_read_slot(&layout, table.header, 1, &again), 1);
	assert_memory_equal(&again.turn, turn, sizeof(again.turn));
	assert_string_equal(again.responder, found.responder);
	assert_string_equal(again.below, found.below);
	assert_string_equal(again.card_responder, found.card_responder);
	assert_memory_equal(again.state, found.state, turn->state_size);
	assert_memory_equal(again.state + MARCEL_STATE_MAX - turn->tail,
			    found.state + MARCEL_STATE_MAX - turn->tail, turn->tail);
	assert_int_equal(again.pad != NULL, found.pad != NULL);
	if (found.pad != NULL)
		assert_memory_equal(again.pad, found.pad, MARCEL_PAD_SIZE);
	/* Those are copies, all of them. */
	assert_true(again.state != found.state);
	assert_true(found.pad == NULL || again.pad == slot.far->pad);
	table_done(&table);
}

static void test_carried(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	carry(&t);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	/* Whichever half is in force. */
	for (int i = 0; i < 4; i++) {
		theatre_say(&t, i % 2 == 0 ? "u64" : "u40");
		assert_string_equal(theatre_found(&t).card_responder, "large");
		assert_string_equal(theatre_found(&t).responder, "small");
		assert_string_equal(theatre_found(&t).below, "large");
		assert_int_equal(theatre_found(&t).turn.tail, LARGE_STATE + 8 + 112);
		assert_null(theatre_found(&t).pad);
		carry(&t);
	}
	use_pad(&t);
	assert_ptr_equal(theatre_found(&t).pad, t.c.slot.far->pad);
	carry(&t);
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "third"), 0);
	assert_string_equal(theatre_found(&t).responder, "third");
	assert_string_equal(theatre_found(&t).below, "");
	assert_null(theatre_found(&t).pad);
	carry(&t);
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "large"), 0);
	assert_int_equal(theatre_found(&t).turn.tail, 0);
	assert_string_equal(theatre_found(&t).responder, "large");
	carry(&t);
	theatre_close(&t);
}

/* A value, little endian, at an offset of the turn in force or of the tail. */
struct patch {
	bool in_turn;
	size_t offset;
	size_t size;
	uint64_t value;
};

#define TURN(member, value)                                                                        \
	{                                                                                          \
		true, offsetof(struct slot_turn, member), sizeof(((struct slot_turn *)0)->member), \
			value                                                                      \
	}
#define TAIL(member, value)                                              \
	{                                                                \
		false, offsetof(struct slot_switch, member),             \
			sizeof(((struct slot_switch *)0)->member), value \
	}

/* Reads T's slot after all N patches, up to the first without a size, and undoes them. */
static int read_patched(const struct theatre *t, const struct patch *patches, size_t n)
{
	struct slot_head *head = t->c.slot.head;
	struct slot_turn *turn = &head->turn[atomic_load(&head->sequence) & 1];
	char *area = slot_state(&t->c.slot);
	struct slot_turn turn_before = *turn;
	struct slot_switch *tail =
		(struct slot_switch *)(void *)(area + MARCEL_STATE_MAX - sizeof(*tail));
	struct slot_switch tail_before = *tail;
	struct snapshot_layout layout;
	struct snapshot found;
	int r;

	for (size_t i = 0; i < n && patches[i].size > 0; i++)
		(void)memcpy((char *)(patches[i].in_turn ? (void *)turn : (void *)tail) +
				     patches[i].offset,
			     &patches[i].value, patches[i].size);
	assert_int_equal(snapshot_read_header(t->table.header, sizeof(*t->table.header),
					      t->table.size, &layout),
			 0);
	r = snapshot_read_slot(&layout, t->table.header, 0, &found);
	assert_int_equal(found.number, THEATRE_NUMBER);
	*turn = turn_before;
	*tail = tail_before;
	return r;
}

/* "large", of 15,912 bytes, which take 15,920, is suspended by "small", of 64: 16,032 bytes of
 * tail. */
#define SUSPENDED ((size_t)15920)
#define WHOLE     (SUSPENDED + sizeof(struct slot_switch))

static void test_nonsense(void **state)
{
	static const struct patch patches[][2] = {
		{TURN(tail, 1)},
		{TURN(tail, sizeof(struct slot_switch) - 16)},
		{TURN(tail, WHOLE - 1)},
		{TURN(tail, WHOLE + 8)},
		{TURN(tail, WHOLE - 16)},
		{TURN(tail, sizeof(struct slot_switch))},
		{TURN(tail, MARCEL_STATE_MAX)},
		{TURN(tail, MARCEL_STATE_MAX + 16)},
		{TURN(tail, UINT16_MAX)},
		/* The two states overlap. */
		{TURN(state_size, MARCEL_STATE_MAX - WHOLE + 1)},
		{TURN(state_size, MARCEL_STATE_MAX)},
		{TURN(state_size, UINT32_MAX)},
		{TURN(tail, MARCEL_STATE_MAX - 48), TURN(state_size, 49)},
		{TAIL(below_size, SUSPENDED + 1)},
		{TAIL(below_size, MARCEL_STATE_MAX)},
		{TAIL(below_size, UINT32_MAX)},
		{TAIL(below_framing.kind, MARCEL_FRAMING_BYTES + 1)},
		{TAIL(below_framing.kind, MARCEL_FRAMING_PREFIX)}, /* of size 0 */
	};
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	assert_int_equal(theatre_found(&t).turn.tail, WHOLE);
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		if (read_patched(&t, patches[i], 2) != -EINVAL)
			fail_msg("patch %zu was accepted", i);
	assert_int_equal(read_patched(&t, NULL, 0), 1);
	theatre_close(&t);
}

static void test_last_sensible_values(void **state)
{
	static const struct patch patches[][2] = {
		{TURN(tail, MARCEL_STATE_MAX - 64)},
		{TURN(tail, MARCEL_STATE_MAX), TURN(state_size, 0)},
		{TURN(state_size, MARCEL_STATE_MAX - WHOLE)},
		{TURN(state_size, 0)},
		{TAIL(below_size, SUSPENDED)},
		{TAIL(below_size, 0)},
		{TURN(tail, sizeof(struct slot_switch)), TAIL(below_size, 0)},
		{TAIL(below_framing.kind, MARCEL_FRAMING_RAW)},
		{TAIL(below_wake_at, UINT64_MAX)},
		{TAIL(below_version, UINT32_MAX)},
	};
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		if (read_patched(&t, patches[i], 2) != 1)
			fail_msg("patch %zu was refused", i);
	theatre_close(&t);
}

static void test_names_without_end(void **state)
{
	struct slot_switch *tail;
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	tail = (struct slot_switch *)(void *)(slot_state(&t.c.slot) + MARCEL_STATE_MAX -
					      sizeof(*tail));
	for (unsigned i = 0; i < 2; i++) {
		char *name = i == 0 ? tail->responder : tail->below;

		(void)memset(name, 'x', SWITCH_NAME_MAX);
		assert_int_equal(read_patched(&t, NULL, 0), -EINVAL);
		name[SWITCH_NAME_MAX - 1] = '\0';
		assert_int_equal(read_patched(&t, NULL, 0), 1);
	}
	theatre_close(&t);
}

/* Flags that are none of a responder's do not come into force when it gets the conversation back.
 */
static void test_other_flags(void **state)
{
	struct slot_switch *tail;
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "o");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	tail = (struct slot_switch *)(void *)(slot_state(&t.c.slot) + MARCEL_STATE_MAX -
					      sizeof(*tail));
	tail->below_flags = UINT8_MAX;
	tail->below_more = UINT8_MAX;
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "large"), 0);
	assert_int_equal(theatre_turn(&t)->flags, SWITCH_FLAGS);
	assert_int_equal(theatre_turn(&t)->more & ~MORE_JOINED, SWITCH_MORE);
	theatre_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_last_sensible_values),
		cmocka_unit_test(test_names_without_end),
		cmocka_unit_test(test_other_flags),
	};

	return cmocka_run_group_tests_name("handover/snapshot-switch", tests, NULL, NULL);
}
