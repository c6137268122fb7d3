/*
 * From a record to bytes and back: the encoding in the ring, and what the three outputs make of
 * it.
 */
#include <errno.h>

#include "collector.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SPAN(text)                                        \
	{                                                 \
		.bytes = (text), .size = sizeof(text) - 1 \
	}

static const uint8_t identity[ENTRY_ID_SIZE] = {0x00, 0x01, 0x0a, 0xff, 0x10};

static const struct entry_field two_fields[] = {
	{.name = SPAN("MARCEL_REASON"), .value = SPAN("end-word")},
	{.name = SPAN("MARCEL_RULE_2"), .value = SPAN("a \"b\" \\ \x1b\n\xff\0z")},
};

static struct entry about_seventeen(void)
{
	return (struct entry){
		.kind = RECORD_CLOSED,
		.flags = ENTRY_ABOUT | ENTRY_ID,
		.timestamp = 1700000000000001,
		.number = 17,
		.id = identity,
		.peer = SPAN("127.0.0.1:4711"),
		.listener = SPAN("marcel"),
		.text = SPAN("The end"),
		.fields = two_fields,
		.n_fields = COUNT(two_fields),
	};
}

static struct entry said(unsigned flags, const char *text, size_t size, size_t said_size)
{
	struct entry entry = about_seventeen();

	entry.kind = RECORD_SAID;
	entry.flags |= flags;
	entry.turn = 3;
	entry.text = (struct span){.bytes = text, .size = size};
	entry.said_size = said_size;
	entry.n_fields = 0;
	return entry;
}

static uint8_t *encoded(const struct entry *entry, size_t *ret_size)
{
	uint8_t *bytes = malloc(entry_size(entry));

	assert_non_null(bytes);
	entry_encode(bytes, entry);
	*ret_size = entry_size(entry);
	return bytes;
}

static void assert_span(struct span span, struct span wanted)
{
	assert_int_equal(span.size, wanted.size);
	if (wanted.size > 0)
		assert_memory_equal(span.bytes, wanted.bytes, wanted.size);
}

static void test_what_is_encoded_is_decoded(void **state)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry wanted = about_seventeen();
	struct entry entry;
	uint8_t *bytes;
	size_t size;

	(void)state;
	bytes = encoded(&wanted, &size);
	assert_int_equal(entry_decode(bytes, size, &entry, fields), 0);
	assert_int_equal(entry.kind, wanted.kind);
	assert_int_equal(entry.flags, wanted.flags);
	assert_int_equal(entry.timestamp, wanted.timestamp);
	assert_int_equal(entry.number, 17);
	assert_memory_equal(entry.id, identity, sizeof(identity));
	assert_span(entry.peer, wanted.peer);
	assert_span(entry.listener, wanted.listener);
	assert_span(entry.text, wanted.text);
	assert_int_equal(entry.n_fields, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_span(entry.fields[i].name, two_fields[i].name);
		assert_span(entry.fields[i].value, two_fields[i].value);
	}
	free(bytes);
}

static void test_a_part_of_an_entry_is_none(void **state)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry wanted = about_seventeen();
	struct entry entry = {.turn = 4711};
	uint8_t *bytes;
	size_t size;

	(void)state;
	bytes = encoded(&wanted, &size);
	for (size_t part = 0; part < size; part++) {
		/* In memory of just that size, for a sanitizer to see a byte too many. */
		uint8_t *copy = malloc(part + 1);

		assert_non_null(copy);
		memcpy(copy + 1, bytes, part);
		assert_int_equal(entry_decode(copy + 1, part, &entry, fields), -EBADMSG);
		free(copy);
	}
	assert_int_equal(entry.turn, 4711);
	free(bytes);
}

static void test_an_entry_with_more_behind_it_is_none(void **state)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry wanted = about_seventeen();
	struct entry entry;
	uint8_t *bytes;
	size_t size;

	(void)state;
	bytes = encoded(&wanted, &size);
	bytes = realloc(bytes, size + 1);
	assert_non_null(bytes);
	bytes[size] = 0;
	assert_int_equal(entry_decode(bytes, size + 1, &entry, fields), -EBADMSG);
	free(bytes);
}

static void test_names_that_would_break_the_protocol(void **state)
{
	static const struct span names[] = {
		SPAN(""),
		SPAN("A=B"),
		SPAN("A\nB"),
		SPAN("_A"),
		SPAN("1A"),
		SPAN("a"),
		SPAN("A B"),
		SPAN("A\0"),
		SPAN("MARCEL_23456789012345678901234567890123456789012345678901234567890"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct entry_field field = {.name = names[i], .value = SPAN("x")};
		struct entry entry = {.kind = RECORD_NOTICE, .fields = &field, .n_fields = 1};
		struct entry_field fields[ENTRY_FIELDS_MAX];
		struct entry decoded;
		uint8_t *bytes;
		size_t size;

		bytes = encoded(&entry, &size);
		assert_int_equal(entry_decode(bytes, size, &decoded, fields), -EBADMSG);
		free(bytes);
	}
}

static void test_a_kind_of_another_version(void **state)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry entry = {.kind = RECORD_KIND_COUNT};
	struct entry decoded;
	uint8_t *bytes;
	size_t size;

	(void)state;
	bytes = encoded(&entry, &size);
	assert_int_equal(entry_decode(bytes, size, &decoded, fields), -EBADMSG);
	free(bytes);
}

/* Formats ENTRY; the caller frees the text. */
static char *formatted_as(enum record_output output, const struct entry *entry)
{
	struct formatted formatted = {.buffer = NULL};
	char *text;

	assert_int_equal(format_entry(&formatted, output, entry), 0);
	text = join_parts(formatted.parts, formatted.n_parts);
	formatted_done(&formatted);
	return text;
}

static void assert_formatted(enum record_output output, const struct entry *entry,
			     const char *wanted)
{
	char *text = formatted_as(output, entry);

	assert_string_equal(text, wanted);
	free(text);
}

static void test_fields_for_the_journal(void **state)
{
	struct entry entry = about_seventeen();
	char *text;

	(void)state;
	text = formatted_as(RECORD_OUTPUT_JOURNAL, &entry);
	/* The value with NUL and control characters is one readable line. */
	assert_string_equal(text, "MESSAGE=The end\n"
				  "MESSAGE_ID=86c9a419d68946d48e4101f407c24d86\n"
				  "PRIORITY=6\n"
				  "MARCEL_TIMESTAMP=1700000000000001\n"
				  "MARCEL_CONVERSATION=17\n"
				  "MARCEL_CONVERSATION_ID=00010aff100000000000000000000000\n"
				  "MARCEL_PEER=127.0.0.1:4711\n"
				  "MARCEL_LISTENER=marcel\n"
				  "MARCEL_REASON=end-word\n"
				  "MARCEL_RULE_2=a \"b\" \\\\ \\e\\n\\xff\\x00z\n");
	free(text);
}

static void test_the_transcript_in_the_journal(void **state)
{
	struct entry whole = said(ENTRY_CLIENT, "ça va ?\nfin", 12, 12);
	struct entry part = said(ENTRY_SERVER, "0123456789", 10, 13);
	struct entry size = said(ENTRY_SERVER | ENTRY_SIZE, NULL, 0, 7);
	char *text;

	(void)state;
	text = formatted_as(RECORD_OUTPUT_JOURNAL, &whole);
	assert_true(has_part(text, "MESSAGE=C> ça va ?\\nfin"));
	assert_true(has_part(text, "MARCEL_TURN=3"));
	assert_true(has_part(text, "MARCEL_SIZE=12"));
	assert_null(strstr(text, "MARCEL_KEPT"));
	free(text);
	text = formatted_as(RECORD_OUTPUT_JOURNAL, &part);
	assert_true(has_part(text, "MESSAGE=S> 0123456789… (13 bytes)"));
	assert_true(has_part(text, "MARCEL_SIZE=13"));
	assert_true(has_part(text, "MARCEL_KEPT=10"));
	free(text);
	text = formatted_as(RECORD_OUTPUT_JOURNAL, &size);
	assert_true(has_part(text, "MESSAGE=S> (7 bytes)"));
	assert_true(has_part(text, "MARCEL_SIZE=7"));
	assert_null(strstr(text, "MARCEL_KEPT"));
	free(text);
}

static void test_lines_of_text(void **state)
{
	struct entry entry = about_seventeen();
	struct entry client = said(ENTRY_CLIENT, "bonjour", 7, 7);
	struct entry server = said(ENTRY_SERVER, "Bonjour à vous", 15, 15);
	struct entry nasty = said(ENTRY_CLIENT, "\x1b[2J\r\n[1 x] S> y\xc2\x9b\xff", 19, 19);
	struct entry empty = said(ENTRY_CLIENT, "", 0, 0);
	struct entry one = said(ENTRY_CLIENT | ENTRY_SIZE, NULL, 0, 1);
	struct entry note = {.kind = RECORD_READY, .text = SPAN("ready on 127.0.0.1:50000")};

	(void)state;
	assert_formatted(RECORD_OUTPUT_TEXT, &entry, "[17 127.0.0.1:4711] The end\n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &client, "[17 127.0.0.1:4711] C> bonjour\n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &server, "[17 127.0.0.1:4711] S> Bonjour à vous\n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &nasty,
			 "[17 127.0.0.1:4711] C> \\e[2J\\r\\n[1 x] S> y\\xc2\\x9b\\xff\n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &empty, "[17 127.0.0.1:4711] C> \n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &one, "[17 127.0.0.1:4711] C> (1 byte)\n\n");
	assert_formatted(RECORD_OUTPUT_TEXT, &note, "ready on 127.0.0.1:50000\n\n");
	entry.peer.size = 0;
	assert_formatted(RECORD_OUTPUT_TEXT, &entry, "[17] The end\n\n");
	entry.peer = (struct span)SPAN("/run/\x1b[31m");
	assert_formatted(RECORD_OUTPUT_TEXT, &entry, "[17 /run/\\e[31m] The end\n\n");
}

static void test_lines_of_json(void **state)
{
	struct entry entry = about_seventeen();
	struct entry part = said(ENTRY_CLIENT, "\"\\\n\xff", 4, 9);

	(void)state;
	assert_formatted(RECORD_OUTPUT_JSON, &entry,
			 "{\"timestamp\":1700000000000001,\"kind\":\"closed\",\"priority\":6,"
			 "\"message\":\"The end\","
			 "\"message_id\":\"86c9a419d68946d48e4101f407c24d86\","
			 "\"conversation\":17,"
			 "\"conversation_id\":\"00010aff100000000000000000000000\","
			 "\"peer\":\"127.0.0.1:4711\",\"listener\":\"marcel\","
			 "\"reason\":\"end-word\","
			 "\"rule_2\":\"a \\\"b\\\" \\\\\\\\ \\\\e\\\\n\\\\xff\\\\x00z\"}\n\n");
	assert_formatted(RECORD_OUTPUT_JSON, &part,
			 "{\"timestamp\":1700000000000001,\"kind\":\"said\",\"priority\":6,"
			 "\"message\":\"C> \\\"\\\\\\\\\\\\n\\\\xff… (9 bytes)\","
			 "\"message_id\":\"cf0e02f2cbe4411aa749d79c51177583\","
			 "\"conversation\":17,"
			 "\"conversation_id\":\"00010aff100000000000000000000000\","
			 "\"peer\":\"127.0.0.1:4711\",\"listener\":\"marcel\","
			 "\"turn\":3,\"size\":9,\"kept\":4}\n\n");
}

/* Long runs of the bytes that grow most, in every output, into memory reused and not. */
static void test_the_buffer_is_always_large_enough(void **state)
{
	static const char bytes[] = {'\0', '"', '\\', '\xff', '\xe2', 'a'};
	static const size_t sizes[] = {1, 100, 4096, 1000000, 10, 255, 256, 257};
	struct formatted formatted = {.buffer = NULL};
	char *text = malloc(1000000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		memset(text, bytes[i], 1000000);
		for (size_t j = 0; j < COUNT(sizes); j++) {
			struct entry entry = said(ENTRY_CLIENT, text, sizes[j], sizes[j] + 1);

			entry.fields = two_fields;
			entry.n_fields = COUNT(two_fields);
			for (int output = RECORD_OUTPUT_JOURNAL; output <= RECORD_OUTPUT_JSON;
			     output++) {
				assert_int_equal(format_entry(&formatted,
							      (enum record_output)output, &entry),
						 0);
				assert_true(formatted.used < formatted.room);
			}
		}
	}
	formatted_done(&formatted);
	free(text);
}

static void test_as_many_fields_as_there_may_be(void **state)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry entry = said(ENTRY_CLIENT, "abc", 3, 4);
	struct formatted formatted = {.buffer = NULL};

	(void)state;
	for (size_t i = 0; i < ENTRY_FIELDS_MAX; i++)
		fields[i] = two_fields[i % 2];
	entry.fields = fields;
	entry.n_fields = ENTRY_FIELDS_MAX;
	for (int output = RECORD_OUTPUT_JOURNAL; output <= RECORD_OUTPUT_JSON; output++) {
		assert_int_equal(format_entry(&formatted, (enum record_output)output, &entry), 0);
		assert_true(formatted.n_parts <= FORMATTED_PARTS_MAX);
		assert_true(formatted.used < formatted.room);
	}
	formatted_done(&formatted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_encoded_is_decoded),
		cmocka_unit_test(test_a_part_of_an_entry_is_none),
		cmocka_unit_test(test_an_entry_with_more_behind_it_is_none),
		cmocka_unit_test(test_names_that_would_break_the_protocol),
		cmocka_unit_test(test_a_kind_of_another_version),
		cmocka_unit_test(test_fields_for_the_journal),
		cmocka_unit_test(test_the_transcript_in_the_journal),
		cmocka_unit_test(test_lines_of_text),
		cmocka_unit_test(test_lines_of_json),
		cmocka_unit_test(test_the_buffer_is_always_large_enough),
		cmocka_unit_test(test_as_many_fields_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
