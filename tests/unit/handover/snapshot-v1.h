/*
 * Version 1 of the table: its layout, pinned so that the build fails when it changes without a new
 * number, and the conversations that tests/snapshots/v1.txt holds.
 */
#pragma once

#include <assert.h>
#include <stddef.h>

#include "converse/end-reasons.h"
#include "handover/snapshot.h"

/*
 * Version 1, in numbers: whoever changes one needs a new TABLE_VERSION. What lies in bytes that
 * were reserved before (more, framing, flags from TURN_SKIPPING on) came without one: their zeros
 * mean what was so before them, and a marceld that does not know them has no responder that sets
 * them.
 */
#define PIN(holds)                   static_assert(TABLE_VERSION != 1 || (holds), "the layout of version 1")
#define PIN_AT(type, member, offset) PIN(offsetof(struct type, member) == (offset))
PIN(sizeof(struct table_header) == 144);
PIN_AT(table_header, capacity, 40);
PIN_AT(table_header, used, 44);
PIN_AT(table_header, size, 48);
PIN_AT(table_header, ring_offset, 56);
PIN_AT(table_header, ring_size, 64);
PIN_AT(table_header, heads_offset, 72);
PIN_AT(table_header, head_size, 80);
PIN_AT(table_header, near_offset, 88);
PIN_AT(table_header, near_size, 96);
PIN_AT(table_header, states_offset, 104);
PIN_AT(table_header, states_size, 112);
PIN_AT(table_header, far_offset, 120);
PIN_AT(table_header, far_size, 128);
PIN_AT(table_header, next_number, 136);
PIN(sizeof(struct slot_head) == 256);
PIN_AT(slot_head, sequence, 0);
PIN_AT(slot_head, stage, 8);
PIN_AT(slot_head, crashes, 12);
PIN_AT(slot_head, cookie, 16);
PIN_AT(slot_head, number, 24);
PIN_AT(slot_head, id, 32);
PIN_AT(slot_head, opened, 48);
PIN_AT(slot_head, in_read, 56);
PIN_AT(slot_head, out_sent, 64);
PIN_AT(slot_head, in_consumed, 72);
PIN_AT(slot_head, turn, 80);
PIN_AT(slot_head, in_flight, 240);
PIN(sizeof(struct slot_turn) == 80);
PIN_AT(slot_turn, in_base, 0);
PIN_AT(slot_turn, in_taken, 8);
PIN_AT(slot_turn, out_base, 16);
PIN_AT(slot_turn, out_end, 24);
PIN_AT(slot_turn, messages, 32);
PIN_AT(slot_turn, wake_at, 40);
PIN_AT(slot_turn, phase, 48);
PIN_AT(slot_turn, mode, 49);
PIN_AT(slot_turn, line_end, 50);
PIN_AT(slot_turn, flags, 51);
PIN_AT(slot_turn, reason, 52);
PIN_AT(slot_turn, more, 53);
PIN_AT(slot_turn, state_version, 56);
PIN_AT(slot_turn, state_size, 60);
PIN_AT(slot_turn, framing, 64);
PIN_AT(marcel_framing, kind, 0);
PIN_AT(marcel_framing, line_end, 1);
PIN_AT(marcel_framing, split, 2);
PIN_AT(marcel_framing, flags, 3);
PIN_AT(marcel_framing, max, 4);
PIN_AT(marcel_framing, size, 8);
PIN_AT(slot_near, card.peer, 0);
PIN_AT(slot_near, card.listener, 192);
PIN_AT(slot_near, card.responder, 448);
PIN_AT(slot_near, card.key, 512);
PIN_AT(slot_near, card.keyed, 528);
PIN_AT(slot_near, in, 536);
PIN_AT(slot_near, out, 2312);
PIN(sizeof(struct slot_near) == 4096);
PIN(sizeof(struct slot_states) == 32768);
PIN_AT(slot_far, in, 0);
PIN_AT(slot_far, out, 2228224);
PIN(sizeof(struct slot_far) == 3407872);

/* Values that are saved never change their meaning, whatever the version. */
static_assert(PHASE_GREETING == 0 && PHASE_DIALOGUE == 1 && PHASE_PARTING == 2 &&
		      PHASE_FAREWELL == 3 && PHASE_LINGER == 4,
	      "saved");
static_assert(MODE_UNDECIDED == 0 && MODE_LINE == 1 && MODE_RAW == 2 && MODE_RAW_ONLY == 3,
	      "saved");
static_assert(LINE_END_UNKNOWN == 0 && LINE_END_LF == 1 && LINE_END_CRLF == 2, "saved");
static_assert(TURN_AGAIN == 1 && TURN_AFTER_RAW == 2 && TURN_INPUT_END == 4 && TURN_IN_FAR == 8 &&
		      TURN_OUT_FAR == 16 && TURN_SKIPPING == 32 && TURN_HOLDS == 64 &&
		      TURN_OWNS_END == 128,
	      "saved");
static_assert(MORE_EARLY == 1 && MORE_JOINED == 2 && MORE_PART == 4 && MORE_CONTINUES == 8,
	      "saved");
static_assert(MARCEL_FRAMING_DEFAULT == 0 && MARCEL_FRAMING_LINE == 1 && MARCEL_FRAMING_RAW == 2 &&
		      MARCEL_FRAMING_RECORD == 3 && MARCEL_FRAMING_PREFIX == 4 &&
		      MARCEL_FRAMING_BYTES == 5 && MARCEL_FRAMING_JOIN == 1,
	      "saved");
static_assert(MARCEL_LINE_ANY == 0 && MARCEL_LINE_LF == 1 && MARCEL_LINE_CRLF == 2, "saved");
static_assert(STAGE_FREE == 0 && STAGE_LIVE == 1, "saved");
static_assert(END_NONE == 0 && END_END_WORD == 1 && END_EMPTY == 2 && END_INPUT == 3 &&
		      END_RESPONDER == 4 && END_IDLE == 5 && END_TOO_LONG == 6 && END_STOP == 7 &&
		      END_STOP_DEADLINE == 8 && END_UNREAD == 9 && END_RESET == 10 &&
		      END_DEAD == 11 && END_RESPONDER_ERROR == 12 && END_SYSTEM_ERROR == 13 &&
		      END_HANDOVER == 14 && END_RESPONDER_RESET == 15,
	      "saved");

/* The conversations of the image, a slot each. The last slot but one is free, the last unused. */
static const struct snapshot conversations[] = {
	{
		/* greeting: nothing said yet */
		.cookie = 0x1001,
		.number = 1,
		.opened = 1700000000000001,
		.peer = "192.0.2.1:40001",
		.listener = "[::]:2323",
		.responder = "echo",
	},
	{
		/* a dialogue with a part of a line, a state and a timer */
		.cookie = 0x1002,
		.number = 2,
		.id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		.opened = 1700000000000002,
		.in_read = 5007,
		.out_sent = 7100,
		.in_consumed = 5000,
		.crashes = 1,
		.in_flight = true,
		.turn = {.in_base = 4900,
			 .in_taken = 5000,
			 .out_base = 7000,
			 .out_end = 7100,
			 .messages = 41,
			 .wake_at = 123456789,
			 .phase = PHASE_DIALOGUE,
			 .mode = MODE_LINE,
			 .line_end = LINE_END_CRLF,
			 .flags = TURN_AGAIN,
			 .state_version = 3,
			 .state_size = 100},
		.peer = "[2001:db8::1]:40002",
		.listener = "[::]:2323",
		.responder = "count",
		.key = {0x20, 0x01, 0x0d, 0xb8},
		.keyed = true,
	},
	{
		/* a dialogue with long messages */
		.cookie = 0x1003,
		.number = 3,
		.opened = 1700000000000003,
		.in_read = 12000,
		.out_sent = 20010,
		.in_consumed = 12000,
		.turn = {.in_base = 10000,
			 .in_taken = 10003,
			 .out_base = 20000,
			 .out_end = 22500,
			 .messages = 7,
			 .phase = PHASE_DIALOGUE,
			 .mode = MODE_LINE,
			 .line_end = LINE_END_LF,
			 .flags = TURN_IN_FAR | TURN_OUT_FAR},
		.peer = "192.0.2.3:40003",
		.listener = "[::]:2323",
		.responder = "echo",
	},
	{
		/* output that the client has not taken */
		.cookie = 0x1004,
		.number = 4,
		.opened = 1700000000000004,
		.in_read = 30,
		.out_sent = 5,
		.turn = {.in_taken = 30,
			 .out_end = 90,
			 .messages = 2,
			 .phase = PHASE_DIALOGUE,
			 .mode = MODE_LINE,
			 .line_end = LINE_END_LF,
			 .flags = TURN_INPUT_END},
		.peer = "pid 4242, uid 1000",
		.listener = "/run/marcel/marcel.sock",
		.responder = "echo",
	},
	{
		/* raw, answered, a late line end may follow */
		.cookie = 0x1005,
		.number = 5,
		.opened = 1700000000000005,
		.in_read = 4,
		.out_sent = 4,
		.turn = {.in_taken = 4,
			 .out_end = 4,
			 .messages = 1,
			 .phase = PHASE_DIALOGUE,
			 .mode = MODE_RAW,
			 .flags = TURN_AFTER_RAW},
		.peer = "192.0.2.5:40005",
		.listener = "[::]:2323",
		.responder = "echo",
	},
	{
		/* the dialogue is over, the farewell not said */
		.cookie = 0x1006,
		.number = 6,
		.opened = 1700000000000006,
		.in_read = 5,
		.out_sent = 12,
		.turn = {.in_taken = 5,
			 .out_end = 12,
			 .messages = 1,
			 .phase = PHASE_PARTING,
			 .mode = MODE_LINE,
			 .line_end = LINE_END_LF,
			 .reason = END_END_WORD},
		.peer = "192.0.2.6:40006",
		.listener = "[::]:2323",
		.responder = "echo",
	},
	{
		/* its end is recorded; input means nothing any more */
		.cookie = 0x1007,
		.number = 7,
		.opened = 1700000000000007,
		.in_read = 900000,
		.out_sent = 20,
		.turn = {.in_taken = 5,
			 .out_end = 20,
			 .messages = 1,
			 .phase = PHASE_LINGER,
			 .mode = MODE_RAW_ONLY,
			 .reason = END_TOO_LONG},
		.peer = "192.0.2.7:40007",
		.listener = "[::]:2323",
		.responder = "echo",
	},
};

#define N_CONVERSATIONS (sizeof(conversations) / sizeof(conversations[0]))
#define IMAGE_CAPACITY  (N_CONVERSATIONS + 2)
