/*
 * Right scripts: what they become. Bundles, that make the same script again; plain lists; files
 * that include each other; and loading without memory, whichever allocation fails.
 *
 * The linker leads the allocations of Marcel's own code through the functions below (--wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "respond/script/program.h"

#define HEADER       "marcel-script 1\n"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static unsigned countdown; /* the allocation that fails; 0: none */
static bool has_failed;

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	errno = ENOMEM;
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c): the linker's names */
#define WRAP(type, name, parameters, arguments)                  \
	type __real_##name parameters;                           \
	type __wrap_##name parameters;                           \
	type __wrap_##name parameters                            \
	{                                                        \
		return fails() ? NULL : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(char *, strdup, (const char *text), (text))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c) */

/* The script of TEXT, without its header; it must be right. */
static struct script *load(const char *text)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	char whole[8192];
	char shown[1024];
	int length = snprintf(whole, sizeof(whole), HEADER "%s", text);
	int r;

	assert_true(length > 0 && (size_t)length < sizeof(whole));
	r = script_load_text("t.script", whole, (size_t)length, NULL, &faults, &script);
	for (size_t i = 0; r < 0 && i < faults.count; i++) {
		(void)fault_format(&faults.list[i], shown, sizeof(shown));
		print_error("%s\n", shown);
	}
	assert_int_equal(r, 0);
	assert_non_null(script);
	faults_done(&faults);
	return script;
}

static const char *const names[] = {
	"say",   "send",  "log",  "ignore", "set",     "add",    "shift", "clear",
	"cycle", "pick",  "wait", "drip",   "collect", "hand",   "goto",  "frame",
	"close", "reset", "drop", "secret", "strike",  "unless", "jump",  "end",
};

/*
 * The code of SCRIPT as a line: the actions, those that jump with where to, a text of one constant
 * part in brackets, several ways with their number.
 */
static void write_code(const struct script *script, char *line, size_t size)
{
	size_t used = 0;

	line[0] = '\0';
	for (size_t i = 0; i < script->n_code; i++) {
		const struct instruction *in = &script->code[i];
		char more[64] = "";

		if (in->action == ACTION_JUMP || in->action == ACTION_UNLESS ||
		    in->action == ACTION_HAND)
			(void)snprintf(more, sizeof(more), ">%u", in->target_pc);
		else if (in->action == ACTION_CYCLE || in->action == ACTION_PICK)
			(void)snprintf(more, sizeof(more), "*%u", in->n_ways);
		else if (in->text.n_parts == 1 && in->text.parts[0].kind == PART_TEXT)
			(void)snprintf(more, sizeof(more), "[%s]", in->text.parts[0].bytes);
		used += (size_t)snprintf(line + used, size - used, "%s%s%s", i > 0 ? " " : "",
					 names[in->action], more);
		assert_true(used < size);
	}
}

static const struct {
	const char *script;
	const char *code;
} codes[] = {
	{"on 'a' say \"x\"", "say[x] end"},
	{"on 'a' say \"x\", 'y', 5", "say[x] say[y] say[5] end"},
	{"on 'a' send \"x\", \"y\"; close", "send[x] send[y] close end"},
	{"on 'a' say t, \"z\"\ntext t <<E\none\n\n  two\n E\n",
	 "say[one] say say[  two] say[z] end"},
	{"on 'a' say t ignore\ntext t <<E\nE\n", "ignore end"},
	{"on 'a' {say \"x\" close}", "say[x] close end"},
	{"on 'a' close when 1 == 1", "unless>2 close end"},
	{"on 'a' close when 1 == 1 else say \"x\"", "unless>3 close jump>4 say[x] end"},
	{"on 'a' {say \"x\"; close} when 1 == 1 else {reset; drop} ignore",
	 "unless>4 say[x] close jump>6 reset drop ignore end"},
	{"on 'a' close when 1 == 1 else reset when 2 == 2 else drop",
	 "unless>3 close jump>7 unless>6 reset jump>7 drop end"},
	{"on 'a' cycle say \"x\" | {close; reset} | drop",
	 "cycle*3 jump>4 jump>6 jump>9 say[x] jump>11 close reset jump>11 drop jump>11 end"},
	{"on 'a' pick say t | close\ntext t <<E\n1\n2\nE\n",
	 "pick*2 jump>3 jump>6 say[1] say[2] jump>8 close jump>8 end"},
	{"on 'a' hand x", "hand>1 end"},
	{"on 'a' hand x else say \"n\"", "hand>2 jump>3 say[n] end"},
	{"on 'a' hand x for 60s when 1 == 1 else {say \"n\"; close}",
	 "unless>3 hand>3 jump>5 say[n] close end"},
	{"on 'a' say \"x\"\non 'b' close when 1 == 1", "say[x] end unless>4 close end"},
	{"prop V int = 1 get 'V?' set 'V {}'\non 'a' ignore", "end end ignore end"},
};

static void test_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		struct script *script = load(codes[i].script);
		char line[1024];

		write_code(script, line, sizeof(line));
		assert_string_equal(line, codes[i].code);
		script_unref(script);
	}
}

static const struct instruction *first(const struct script *script, enum action action)
{
	for (size_t i = 0; i < script->n_code; i++) {
		if (script->code[i].action == action)
			return &script->code[i];
	}
	fail();
	abort();
}

static void test_actions(void **state)
{
	struct script *script = load(
		"on 'a' wait 200ms..1min30s drip 3 every 20ms \"x\" strike 7 secret next\n"
		"collect a until \".\" unstuff max 10M hand x draft \"d\" stay say \"q\" stuff\n"
		"frame line crlf split \";\" join max 1000\n"
		"collect b ${n} bytes; collect n 64K bytes; goto two\n"
		"state one on 'b' ignore state two on 'c' secret ignore");
	const struct instruction *in = first(script, ACTION_WAIT);

	(void)state;
	assert_int_equal(in->least, 200 * USEC_PER_MSEC);
	assert_int_equal(in->most, 90 * USEC_PER_SEC);
	in = first(script, ACTION_DRIP);
	assert_int_equal(in->size, 3);
	assert_int_equal(in->least, 20 * USEC_PER_MSEC);
	assert_int_equal(first(script, ACTION_STRIKE)->size, 7);
	assert_true(first(script, ACTION_SECRET)->next);
	in = first(script, ACTION_COLLECT);
	assert_int_equal(in->until, COLLECT_LINE);
	assert_true(in->stuff);
	assert_int_equal(in->size, 10 * 1024 * 1024);
	in = first(script, ACTION_HAND);
	assert_string_equal(in->responder, "x");
	assert_true(in->stay && in->text.n_parts == 1 && in->least == USEC_NEVER);
	assert_true(first(script, ACTION_SAY)->stuff);
	in = first(script, ACTION_FRAME);
	assert_int_equal(in->framing.kind, MARCEL_FRAMING_LINE);
	assert_int_equal(in->framing.line_end, MARCEL_LINE_CRLF);
	assert_int_equal(in->framing.split, ';');
	assert_int_equal(in->framing.flags, MARCEL_FRAMING_JOIN);
	assert_int_equal(in->framing.max, 1000);
	assert_int_equal(in[1].until, COLLECT_BYTES);
	assert_int_equal(in[1].text.n_parts, 1);
	assert_int_equal(in[1].size, 1024 * 1024);
	assert_int_equal(in[2].bytes, 64 * 1024);
	assert_int_equal(in[2].text.n_parts, 0);
	assert_int_equal(in[3].target, 2);
	assert_int_equal(script->first_scope, 1);
	assert_false(script->rules[0].secret || script->rules[1].secret);
	assert_true(script->rules[2].secret);
	script_unref(script);
}

static void test_rules(void **state)
{
	struct script *script = load("match nocase\non connect ignore\non idle 5min ignore\n"
				     "on \"A {x} {y}\" say ${y}\n"
				     "state s\n on /B(?<z>.*)/ when length > 3 say ${z}\n"
				     " otherwise ignore\n"
				     "always otherwise ignore\n on every 2s ignore");
	const struct scope *always = &script->scopes[0];
	const struct rule *rule = &script->rules[2];

	(void)state;
	assert_int_equal(script->n_scopes, 2);
	assert_string_equal(always->name, "always");
	assert_string_equal(script->scopes[1].name, "s");
	assert_int_equal(always->n_rules, 1);
	assert_int_equal(always->rules[0], 2);
	assert_int_equal(always->n_others[RULE_CONNECT], 1);
	assert_int_equal(always->others[RULE_EVERY][0], 6);
	assert_int_equal(always->others[RULE_OTHERWISE][0], 5);
	assert_int_equal(script->scopes[1].others[RULE_OTHERWISE][0], 4);
	assert_int_equal(script->rules[1].period, 300 * USEC_PER_SEC);
	assert_string_equal(script->rules[1].text, "idle 5min");
	assert_string_equal(rule->text, "\"A {x} {y}\"");
	assert_string_equal(rule->name, "t.script:5");
	assert_int_equal(rule->where.column, 4);
	/* x is used nowhere. */
	assert_int_equal(rule->captures[0], NONE);
	assert_string_equal(script->variables[rule->captures[1]].name, "y");
	assert_true(script->rules[3].when != NONE && script->rules[3].captures[0] != NONE);
	assert_int_equal(script->n_timers, 1);
	assert_true(script->nocase);
	script_unref(script);
}

static const struct variable *variable(const struct script *script, const char *name)
{
	for (size_t i = 0; i < script->n_variables; i++) {
		if (strcmp(script->variables[i].name, name) == 0)
			return &script->variables[i];
	}
	fail();
	abort();
}

static void test_variables(void **state)
{
	struct script *script =
		load("let a = \"x\\x41\\0\"\nlet b = \"${a|length}${a|lower}-\"\n"
		     "on 'a' collect c until empty; collect d until empty\n"
		     " say \"${c|length} ${d} ${b}\"; add l 1; shift l into s\n"
		     " say ${s} when count(errors) > 0\n"
		     "on \"b {e}\" say ${e|length}\n"
		     "prop V float 0..30 = 5 get 'V?' as \"%+.6E\" set 'V {}' error \"no\\n\"");
	const struct property *property = &script->properties[0];

	(void)state;
	assert_int_equal(variable(script, "a")->initial_length, 3);
	assert_memory_equal(variable(script, "a")->initial, "xA\0", 3);
	assert_memory_equal(variable(script, "b")->initial, "3xa\0-", 5);
	assert_true(variable(script, "c")->is_counted && !variable(script, "c")->is_kept);
	assert_true(variable(script, "d")->is_kept && !variable(script, "d")->is_counted);
	assert_int_equal(variable(script, "l")->kind, VARIABLE_LIST);
	assert_int_equal(variable(script, "errors")->kind, VARIABLE_LIST);
	assert_ptr_equal(variable(script, "errors"), &script->variables[script->errors_list]);
	assert_true(variable(script, "e")->is_kept);
	assert_int_equal(variable(script, "V")->kind, VARIABLE_PROPERTY);
	assert_string_equal(variable(script, "V")->initial, "5");
	assert_string_equal(property->format, "%+.6E");
	assert_string_equal(property->error, "no\n");
	assert_true(property->limited && property->has_error && property->most > 29);
	assert_int_equal(script->rules[2].kind, RULE_GET);
	assert_int_equal(script->rules[3].kind, RULE_SET);
	assert_int_equal(script->rules[3].property, 0);
	script_unref(script);
}

static void test_expressions(void **state)
{
	struct script *script = load("on 'a' when not (turn == 1 or length > 64K) and peer in "
				     "\"10.0.0.0/8\" ignore");
	const struct expression *all = script->expressions;
	const struct expression *and = &all[script->rules[0].when];
	const struct expression * or = &all[all[ and->left].left];

	(void)state;
	assert_int_equal(and->op, EXPRESSION_AND);
	assert_int_equal(all[ and->left].op, EXPRESSION_NOT);
	assert_int_equal(or->op, EXPRESSION_OR);
	assert_int_equal(all[or->left].op, EXPRESSION_EQUAL);
	assert_int_equal(all[all[or->left].left].text.parts[0].kind, PART_TURN);
	assert_int_equal(all[all[or->right].left].op, EXPRESSION_LENGTH);
	assert_string_equal(all[all[or->right].right].text.parts[0].bytes, "65536");
	assert_int_equal(all[ and->right].op, EXPRESSION_PEER_IN);
	assert_int_equal(all[ and->right].bits, 104);
	assert_memory_equal(all[ and->right].network, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\x0A\0\0\0", 16);
	script_unref(script);
}

static void test_message_kept(void **state)
{
	static const struct {
		const char *script;
		bool is_kept;
	} table[] = {
		{"on 'a' say ${message}; wait 1s", true},
		{"on 'a' wait 1s; say ${message}", true},
		{"on 'a' wait 1s; say t\ntext t <<E\n${message}\nE\n", true},
		{"on 'a' wait 1s; close when length > 3", false},
		{"on 'a' wait 1s; close when ${message} == \"x\"", true},
		{"on 'a' hand fifo draft ${message}", true},
		{"on 'a' collect x until empty; say \"a\"\non 'b' say ${message}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct script *script = load(table[i].script);

		assert_int_equal(script->rules[0].keeps_message, table[i].is_kept);
		script_unref(script);
	}
}

static void test_manners(void **state)
{
	struct script *script = load("frame raw end \"BYE\", 'quit', empty");

	(void)state;
	assert_true(script->manners.frames && script->manners.ends && script->manners.end_on_empty);
	assert_int_equal(script->manners.framing.kind, MARCEL_FRAMING_RAW);
	assert_int_equal(script->manners.n_end_words, 2);
	assert_string_equal(script->manners.end_words[1], "quit");
	script_unref(script);
	script = load("end none");
	assert_true(script->manners.ends && script->manners.n_end_words == 0);
	assert_false(script->manners.frames || script->manners.end_on_empty);
	script_unref(script);
	script = load("");
	assert_false(script->manners.ends);
	assert_int_equal(script->first_scope, 0);
	script_unref(script);
}

static void assert_list(const char *text, size_t length, size_t n, const char *last, size_t last_n)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	const struct text *reply;

	assert_int_equal(script_load_text("l", text, length, NULL, &faults, &script), 0);
	assert_true(script->is_list);
	assert_int_equal(script->n_replies, n);
	reply = &script->replies[n - 1];
	assert_int_equal(reply->n_parts, last_n > 0);
	if (last_n > 0) {
		assert_int_equal(reply->parts[0].length, last_n);
		assert_memory_equal(reply->parts[0].bytes, last, last_n);
	}
	script_unref(script);
	faults_done(&faults);
}

static void test_lists(void **state)
{
	(void)state;
	assert_list("a\nb\n", 4, 2, "b", 1);
	assert_list("a\nb", 3, 2, "b", 1);
	assert_list("a\r\nb\r\n", 6, 2, "b", 1);
	assert_list("a\r\nb\r", 5, 2, "b", 1);
	assert_list("a\n\n", 3, 2, "", 0);
	assert_list("\n", 1, 1, "", 0);
	assert_list("a\0b${x}\\n", 9, 1, "a\0b${x}\\n", 9);
	/* No later line makes it a script. */
	assert_list("a\nmarcel-script 1\n", 18, 2, "marcel-script 1", 15);
}

/* A directory with files that are gone at the end. */
struct files {
	char directory[64];
	char main[96];
};

static const char *const file_names[] = {"main.script", "sub/inc", "sub/more", "circle"};

static void write_file(const struct files *files, const char *name, const char *text)
{
	char path[128];
	auto_fclose FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", files->directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static void make_files(struct files *files)
{
	char path[128];

	(void)snprintf(files->directory, sizeof(files->directory), "/tmp/marcel-parse-XXXXXX");
	assert_non_null(mkdtemp(files->directory));
	(void)snprintf(path, sizeof(path), "%s/sub", files->directory);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(files->main, sizeof(files->main), "%s/main.script", files->directory);
	/* Paths are those of the file that includes; rules stay in the state; the first line of
	 * what is included may be the header, and a file may come twice. */
	write_file(files, "main.script",
		   HEADER "state a include \"sub/inc\" on 'main' ignore\n"
			  "state b include \"sub/inc\" goto_is_no_word_here\n");
	write_file(files, "sub/inc", HEADER "on 'inc' goto b\ninclude \"more\"\n");
	write_file(files, "sub/more", "always on 'more' ignore\n");
	write_file(files, "circle", HEADER "include \"circle\"\n");
}

static void remove_files(const struct files *files)
{
	char path[128];

	for (size_t i = 0; i < COUNT(file_names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", files->directory, file_names[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/sub", files->directory);
	(void)rmdir(path);
	(void)rmdir(files->directory);
}

static void test_includes(void **state)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	struct script *again = NULL;
	struct files files;
	char path[128];

	(void)state;
	make_files(&files);
	assert_int_equal(script_load(files.main, NULL, &faults, &script), -EINVAL);
	assert_int_equal(faults.errors, 1);
	assert_int_equal(faults.list[0].where.line, 3);
	assert_int_equal(faults.list[0].where.column, 27);
	faults_done(&faults);

	write_file(&files, "main.script",
		   HEADER "state a include \"sub/inc\" on 'main' ignore\n"
			  "state b include \"sub/inc\"\n");
	assert_int_equal(script_load(files.main, NULL, &faults, &script), 0);
	assert_int_equal(script->n_rules, 5);
	assert_int_equal(script->scopes[1].n_rules, 2);
	assert_int_equal(script->scopes[2].n_rules, 1);
	assert_int_equal(script->scopes[0].n_rules, 2);
	assert_string_equal(script->rules[0].name, "inc:2");
	assert_string_equal(script->rules[1].name, "more:1");
	faults_done(&faults);

	(void)snprintf(path, sizeof(path), "%s/circle", files.directory);
	assert_int_equal(script_load(path, NULL, &faults, &again), -EINVAL);
	assert_non_null(strstr(faults.list[0].text, "includes itself"));
	faults_done(&faults);

	/* Without the files the bundle is still the script. */
	remove_files(&files);
	assert_int_equal(script_load_bundle(script->bundle, script->bundle_size, &faults, &again),
			 0);
	assert_int_equal(again->version, script->version);
	assert_int_equal(again->n_code, script->n_code);
	assert_string_equal(again->file, files.main);
	assert_string_equal(again->rules[1].name, "more:1");
	/* Broken, it is none. */
	for (size_t size = 0; size < script->bundle_size; size++) {
		struct script *broken = NULL;

		if (script_load_bundle(script->bundle, size, &faults, &broken) != -EINVAL)
			assert_true(broken->n_rules < script->n_rules);
		script_unref(broken);
		faults_done(&faults);
	}
	assert_ptr_equal(script_ref(again), again);
	script_unref(again);
	script_unref(again);
	script_unref(script);
	script_unref(NULL);
	faults_done(&faults);
}

/* Another byte is another version; the same text under the same name is the same. */
static void test_version(void **state)
{
	struct script *a = load("on 'a' ignore");
	struct script *b = load("on 'a' ignore");
	struct script *c = load("on 'b' ignore");

	(void)state;
	assert_int_equal(a->version, b->version);
	assert_int_not_equal(a->version, c->version);
	assert_int_not_equal(a->version, 0);
	script_unref(a);
	script_unref(b);
	script_unref(c);
}

static const char everything[] = HEADER
	"frame line lf end \"a\", empty let a = \"${a}\"\n"
	"let b = \"x\" let c = \"${b}y\"\n"
	"text t <<E\none ${b}\nE\n"
	"prop V int 0..3 = 1 get 'V?' as \"%d\" set 'V {}' error \"e\"\n"
	"on \"x {y}\" when ${y} == 1 say t, \"${y}\" when count(l) > 2 else close\n"
	"state s on /(?<z>a)/ cycle say \"1\" | close goto u\n"
	"state u otherwise add l ${z}; hand h draft \"d\" else ignore\n";

/* Loads TEXT with the AT-th allocation failing; false when there are not so many. */
static bool load_failing_at(unsigned at, const char *text, int otherwise)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	int r;

	has_failed = false;
	countdown = at;
	r = script_load_text("t", text, strlen(text), NULL, &faults, &script);
	countdown = 0;
	/* A fault may have lost its text; then the script is wrong all the same. */
	assert_true(r == otherwise || (has_failed && r == -ENOMEM));
	assert_true((r == 0) == (script != NULL));
	script_unref(script);
	faults_done(&faults);
	return has_failed;
}

static void test_memory(void **state)
{
	static const char list[] = "one\ntwo\n";
	char right[sizeof(everything)];
	char *wrong_let;
	unsigned n = 0;

	(void)state;
	while (load_failing_at(++n, everything, -EINVAL)) {
	}
	assert_true(n > 20);
	/* The same without its fault. */
	(void)memcpy(right, everything, sizeof(right));
	wrong_let = strstr(right, "${a}");
	assert_non_null(wrong_let);
	(void)memset(wrong_let, 'x', 4);
	for (n = 1; load_failing_at(n, right, 0); n++) {
	}
	assert_true(n > 20);
	for (n = 1; load_failing_at(n, list, 0); n++) {
	}
	assert_true(n > 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes),       cmocka_unit_test(test_actions),
		cmocka_unit_test(test_rules),       cmocka_unit_test(test_variables),
		cmocka_unit_test(test_expressions), cmocka_unit_test(test_message_kept),
		cmocka_unit_test(test_manners),     cmocka_unit_test(test_lists),
		cmocka_unit_test(test_includes),    cmocka_unit_test(test_version),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
