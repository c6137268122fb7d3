/*
 * Wrong scripts, each with the place and the text of its first fault, and what several faults look
 * like together.
 *
 * In the tables an @ marks the place; it is taken out before the script is read. The first line,
 * "marcel-script 1", is put in front of each, so the text shown here begins with line 2.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "respond/script/program.h"

#define HEADER       "marcel-script 1\n"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct wrong {
	const char *script;
	const char *text;     /* a part of what is said */
	const char *expected; /* a part of what would be right, or NULL */
};

static bool knows(const char *responder)
{
	return strcmp(responder, "echo") == 0;
}

/* MARKED without its @, behind the header; and where the @ was. Returns its length. */
static size_t unmark(const char *marked, char *script, size_t size, unsigned *ret_line,
		     unsigned *ret_column)
{
	size_t length = (size_t)snprintf(script, size, "%s", HEADER);
	unsigned column = 1;
	unsigned line = 2;

	for (; *marked != '\0'; marked++) {
		if (*marked == '@') {
			*ret_line = line;
			*ret_column = column;
			continue;
		}
		assert_true(length < size);
		script[length++] = *marked;
		column = *marked == '\n' ? 1 : column + 1;
		line += *marked == '\n';
	}
	return length;
}

static bool is_as_said(const struct wrong *wrong)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	char text[4096];
	unsigned line = 0;
	unsigned column = 0;
	size_t length = unmark(wrong->script, text, sizeof(text), &line, &column);
	int r = script_load_text("t.script", text, length, knows, &faults, &script);
	const struct fault *fault = &faults.list[0];
	char shown[4096] = "no fault";

	if (faults.count > 0)
		(void)fault_format(fault, shown, sizeof(shown));
	if (r != -EINVAL || faults.count == 0 || fault->warning || fault->where.line != line ||
	    fault->where.column != column || strstr(fault->text, wrong->text) == NULL ||
	    (wrong->expected != NULL &&
	     (fault->expected == NULL || strstr(fault->expected, wrong->expected) == NULL))) {
		print_error("%s\n---\n%s\n--- wanted %u:%u: %s\n", wrong->script, shown, line,
			    column, wrong->text);
		faults_done(&faults);
		return false;
	}
	assert_null(script);
	faults_done(&faults);
	return true;
}

static const struct wrong words_and_quotes[] = {
	{"@say \"x\"", "'say' belongs in a rule", "'on'"},
	{"@stat a", "unknown word 'stat' (did you mean 'state'?)", "a statement: on"},
	{"@42", "unexpected 42", "a statement"},
	{"@{", "unexpected '{'", "a statement"},
	{"on @conect say \"a\"", "unknown word 'conect' (did you mean 'connect'?)",
	 "connect, early"},
	{"on @state", "unexpected 'state'", "a pattern"},
	{"on 'a' @sya \"x\"", "unknown action 'sya' (did you mean 'say'?)", "an action: say"},
	{"on 'a'@", "unexpected the end of the file", "an action"},
	{"on 'a'\n@on 'b' say \"x\"", "unexpected 'on'", "an action"},
	{"on 'a' say @\"x", "does not end on its line", "second \""},
	{"on @'a say \"x\"", "literal does not end", "second '"},
	{"on @/a say \"x\"", "regular expression does not end", "second /"},
	{"on 'a' say @${x", "this ${ has no }", "${name}"},
	{"on 'a' say \"x@${y\"", "this ${ has no }", "\\$"},
	{"on 'a' say @$x", "a lone $", "${name}"},
	{"on 'a' say @\\n", "a \\ outside of quotes", NULL},
	{"on 'a' say \"x\" @\xC3\xA9t", "this is no word of a script", "quotes"},
	{"on 'a' @% say \"x\"", "this character means nothing here", NULL},
	{"on 'a' say \"ab@\\qc\"", "unknown escape '\\q'",
	 "one of \\r \\n \\t \\0 \\xHH \\\" \\$ \\\\"},
	{"on 'a' say \"@\\*\"", "'\\*' is an escape in patterns", "\\xHH"},
	{"on 'a' say \"@\\x4\"", "without two hexadecimal digits", "\\xHH"},
	{"on \"a@\\q\" say \"x\"", "\\q", NULL},
	{"on 'a' say \"x\" @}", "this } has no {", NULL},
	{"on 'a' @{ say \"x\"", "this { has no }", "a } after"},
	{"on 'a' @{ say \"x\"\non 'b' ignore", "this { has no }", NULL},
	{"on 'a' { @}", "unexpected '}'", "an action"},
	{"on 'a' say \"x\" @| say \"y\"", "this | belongs to no cycle or pick", "{ ... }"},
	{"on 'a' cycle say \"a\"; close @| say \"b\"", "this | belongs to no cycle", "{ ... }"},
};

static const struct wrong beginnings[] = {
	{"frame @lines", "unknown word 'lines' (did you mean 'line'?)", "line, raw, record"},
	{"frame line split @\";;\"", "one character", "\";\""},
	{"frame line split @\"\\n\"", "ends lines", NULL},
	{"frame record @0", "too small", NULL},
	{"frame record @x", "unexpected 'x'", "the bytes of a message"},
	{"frame prefix @3", "3 bytes is not known", "1, 2 or 4"},
	{"frame prefix @8", "it may be 4 at most", NULL},
	{"frame line max @0", "too small", NULL},
	{"frame line max @10X", "'10X' is no size", NULL},
	{"frame line\n@frame raw", "'frame' was there already", NULL},
	{"on 'a' ignore\n@match nocase", "'match' comes too late", "before the first rule"},
	{"state a\n@end none", "'end' comes too late", NULL},
	{"match @nocas", "unknown word 'nocas' (did you mean 'nocase'?)", "nocase or case"},
	{"end @non", "unknown word 'non' (did you mean 'none'?)", "none, empty"},
	{"end \"a\", @5", "unexpected 5", "an end word"},
	{"end @\"\"", "this is no word", NULL},
	{"let @5 = 1", "unexpected 5", "the name of a variable"},
	{"let a @\"x\"", "unexpected \"x\"", "= and a value"},
	{"let a = @b", "unexpected 'b'", "a value"},
	{"let a = \"${@peer}\"", "${peer} is not known when the script is loaded", NULL},
	{"let a = \"${@b}\"\nlet b = \"x\"", "has no value yet", "before this one"},
	{"let a = 1\nlet @a = 2", "'a' was there already, in line 2", "`set`"},
	{"let @message = 1", "'message' is built in", NULL},
	{"let @count = 1", "'count' is a word of the language", NULL},
	{"text @say <<E\nE", "'say' is a word of the language", NULL},
	{"text t @E\nE", "unexpected 'E'", "<<"},
	{"text t <<\n@E\nE", "unexpected 'E'", "the word that ends the text"},
	{"text t <<@END\nab\n", "no line is 'END'", "a line with this word alone"},
	{"text t <<E@ x\nE", "something follows 'E'", "next line"},
	{"text t <<E\nE\ntext @t <<E\nE", "'t' was there already, in line 2", NULL},
	{"text t <<E\n  ${@nix}\nE\non 'a' say t", "undefined variable 'nix'", NULL},
	{"include @x", "unexpected 'x'", "a file's name in quotes"},
	{"include @\"\"", "no file's name", NULL},
	{"include @\"no/such/file\"", "can't read 'no/such/file': No such file", NULL},
	{"include @\"/\"", "can't read '/': Is a directory", NULL},
	{"include @\"/dev/zero\"", "can't read '/dev/zero': it is no plain file", NULL},
	{"state @on", "'on' is a word of the language", "the name of a state"},
	{"state @\"a\"", "unexpected \"a\"", "the name of a state"},
	{"state a\nstate @a", "'a' was there already, in t.script:2", NULL},
};

static const struct wrong rules[] = {
	{"on \"a @${x}\" ignore", "a pattern is fixed when the script is loaded", "{name}"},
	{"on /a@${x}/ ignore", "a pattern is fixed", "\\$"},
	{"on /a/i@z ignore", "unknown flag 'z'", "i (no case)"},
	{"on /a(@/ ignore", "", NULL},
	{"on \"a{@date}\" ignore", "'date' is built in", NULL},
	{"on \"a{@text}\" ignore", "'text' is a word of the language", NULL},
	{"on idle @say \"x\"", "unexpected 'say'", "a duration"},
	{"on idle @0 ignore", "without end", NULL},
	{"on every 5 @min ignore", "write 5min", NULL},
	{"on every @5foo ignore", "'5foo' is no duration", "30s"},
	{"on 'a' when @say \"x\"", "unexpected 'say'", "a number, a text"},
	{"on 'a' when turn @= 1 ignore", "did you mean '=='?", "a comparison"},
	{"on 'a' when length @ignore", "unexpected 'ignore'", "a comparison"},
	{"on 'a' when length@(x) > 1 ignore", "length is that of the message", "${name|length}"},
	{"on 'a' when count @x > 1 ignore", "unexpected 'x'", "count(name)"},
	{"on 'a' when count(errors @> 1 ignore", "unexpected '>'", ") after"},
	{"on 'a' when peer in @10 ignore", "unexpected 10", "192.0.2.0/24"},
	{"on 'a' when peer in @\"10.0.0/8\" ignore", "is no address", NULL},
	{"on 'a' when peer in @\"10.0.0.0/33\" ignore", "a number from 0 to 32", NULL},
	{"on 'a' when (1 == 1 @ignore", "unexpected 'ignore'", ")"},
	{"on 'a' when 1 == @and 2 == 2 ignore", "unexpected 'and'", NULL},
	{"on 'a' when ${time@} == 1 ignore", "${time} without a format", NULL},
	{"on 'a' say \"${time@}\"", "${time} without a format", "%H"},
	{"on 'a' say \"${time @%Q}\"", "'%Q' is no conversion", "strftime"},
	{"on 'a' say \"${random@}\"", "${random} needs", "${random 6}"},
	{"on 'a' say \"${date @x}\"", "'x' does not belong here", NULL},
	{"on 'a' say \"${@}\"", "${} without a name", NULL},
	{"on 'a' say \"${message|@uper}\"", "unknown filter 'uper' (did you mean 'upper'?)",
	 "base64"},
	{"on 'a' say \"${message|upper|upper|upper|upper|@upper}\"", "more than 4 filters", NULL},
	{"on 'a{n}' say \"${@nam}\"\nlet name = 1",
	 "undefined variable 'nam' (did you mean 'name'?)", NULL},
	{"on 'a' ignore @else close", "this 'else' belongs to no 'when'", "`when`"},
	{"on 'a' say @welcom\ntext welcome <<E\nE",
	 "undefined text 'welcom' (did you mean 'welcome'?)", "${name}"},
	{"on 'a' send @page\ntext page <<E\nE", "after `say` only (did you mean '${page}'?)", NULL},
	{"on 'a' goto @redy\nstate ready", "undefined state 'redy' (did you mean 'ready'?)", NULL},
	{"on 'a' goto @\"ready\"", "unexpected \"ready\"", "the name of a state"},
	{"on 'a' wait @x", "unexpected 'x'", "200ms"},
	{"on 'a' wait @2s..1s", "this range is empty", "the shorter one first"},
	{"on 'a' wait @99999999999999999h", "too long", NULL},
	{"on 'a' drip @0 every 1s \"x\"", "too small", NULL},
	{"on 'a' drip 3 @20ms \"x\"", "unexpected 20ms", "every"},
	{"on 'a' strike @0", "too small", NULL},
	{"on 'a' strike @x", "unexpected 'x'", "strike 3"},
	{"on 'a' hand @fifo", "there is no responder 'fifo', and no `else`", "echo"},
	{"on 'a' hand @fifo stay say 'b'", "there is no responder 'fifo', and no `else`", "echo"},
	{"on 'a' hand @\"echo\"", "unexpected \"echo\"", "the name of a responder"},
	{"on 'a' set @peer 1", "'peer' is built in", NULL},
	{"on 'a' set x @close", "unexpected 'close'", "a value"},
	{"on 'a' add l 1; set @l 2", "'l' is a list, since something is added to it in line 2",
	 NULL},
	{"on \"{@l}\" add l 1", "'l' is a list", NULL},
	{"let x = 1\non 'a' shift @x", "'x' is no list", NULL},
	{"let @errors = 1", "'errors' is the list", NULL},
	{"on 'a' clear @x", "undefined variable 'x'", NULL},
	{"on 'a' collect b @\"x\"", "unexpected \"x\"", "until"},
	{"on 'a' collect b until @5", "unexpected 5", "in quotes"},
	{"on 'a' collect b until @\"\"", "written otherwise", "until empty"},
	{"on 'a' collect b 10 @max 5", "unexpected 'max'", "bytes"},
	{"on 'a' collect b 10 bytes @unstuff", "only lines are unstuffed", NULL},
	{"on 'a' frame @close", "unexpected 'close'", "line, raw"},
	{"on 'a' log @close", "unexpected 'close'", "a value"},
};

static const struct wrong properties[] = {
	{"prop @5 int = 1", "unexpected 5", "the name of a property"},
	{"prop V @integer = 1", "unknown word 'integer'", "int, float, bool or text"},
	{"prop V int 0..@x = 1", "unexpected 'x'", "0..30"},
	{"prop V int @5..1 = 3", "this range is empty", "smaller number first"},
	{"prop V int 0 @= 3", "unexpected '='", ".."},
	{"prop V bool @0..1 = 1", "only int and float have a range", NULL},
	{"prop V int 1@", "unexpected the end", ".."},
	{"prop V int@", "unexpected the end", "= and a value"},
	{"prop V int 0..3 = @5", "no int of that range", NULL},
	{"prop V float = @\"x\"", "no float", NULL},
	{"prop V bool = @maybe", "no bool", NULL},
	{"prop V int = 1 get @\"V?\"", "unexpected \"V?\"", "'...'"},
	{"prop V int = 1 get 'V?' as @\"%s\"", "", "printf"},
	{"prop V int = 1 get 'V?' as @\"%d %d\"", "", "printf"},
	{"prop V int = 1 set 'V {} @{}'", "", "one {}"},
	{"prop V int = 1 error @x", "unexpected 'x'", "errors"},
	{"prop V int = 1 error \"a\" error @\"b\"", "has an error already", NULL},
	{"prop V int = 1\nprop @V int = 1", "property 'V' was there already", NULL},
	{"prop V int = 1\nlet @V = 1", "'V' is a property", "set"},
	{"prop V int = 1\non \"x {@V}\" ignore", "'V' is a property", NULL},
	{"prop @errors int = 1\non 'a' add errors 1", "'errors' is a list", NULL},
};

static void check_table(const struct wrong *table, size_t n)
{
	size_t failures = 0;

	for (size_t i = 0; i < n; i++)
		failures += !is_as_said(&table[i]);
	assert_int_equal(failures, 0);
}

static void test_words_and_quotes(void **state)
{
	(void)state;
	check_table(words_and_quotes, COUNT(words_and_quotes));
}

static void test_beginnings(void **state)
{
	(void)state;
	check_table(beginnings, COUNT(beginnings));
}

static void test_rules(void **state)
{
	(void)state;
	check_table(rules, COUNT(rules));
}

static void test_properties(void **state)
{
	(void)state;
	check_table(properties, COUNT(properties));
}

/* Reads LENGTH bytes at TEXT, which are wrong; the caller frees *RET_FAULTS. */
static void read_wrong(const char *text, size_t length, struct faults *ret_faults)
{
	struct script *script = NULL;

	*ret_faults = (struct faults){.count = 0};
	assert_int_equal(script_load_text("dir/t.script", text, length, NULL, ret_faults, &script),
			 -EINVAL);
	assert_null(script);
	assert_true(ret_faults->errors > 0);
}

/* How the first fault of TEXT is shown. */
static void assert_shown(const char *text, const char *shown)
{
	struct faults faults;
	char buffer[4096];
	size_t length;

	read_wrong(text, strlen(text), &faults);
	length = fault_format(&faults.list[0], buffer, sizeof(buffer));
	assert_string_equal(buffer, shown);
	assert_int_equal(length, strlen(shown));
	/* Cut, it ends with a NUL. */
	assert_int_equal(fault_format(&faults.list[0], buffer, 10), strlen(shown));
	assert_int_equal(strlen(buffer), 9);
	faults_done(&faults);
}

static void test_shown(void **state)
{
	(void)state;
	assert_shown(HEADER "on 'a'\n\t\tgoto nix # \x1b[31m",
		     "dir/t.script:3:8: undefined state 'nix'\n"
		     "    3 | \t\tgoto nix # \\e[31m\n"
		     "      | \t\t     ^\n"
		     "expected the name of a state");
	/* A character of several bytes is one column, an escaped one as many as its escape has. */
	assert_shown(HEADER "on '\xC3\xA9\x01\xFF' goto nix",
		     "dir/t.script:2:16: undefined state 'nix'\n"
		     "    2 | on '\xC3\xA9\\x01\\xff' goto nix\n"
		     "      |                     ^\n"
		     "expected the name of a state");
}

/* One line of a megabyte: a part of it is shown. */
static void test_long_line(void **state)
{
	static char text[1024 * 1024];
	struct faults faults;
	char buffer[1024];
	size_t length = (size_t)snprintf(text, sizeof(text), "%s", HEADER);

	(void)state;
	while (length + 24 < sizeof(text))
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s",
					   "on 'a' say \"\xE2\x82\xAC\"   ");
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", "%%");
	read_wrong(text, length, &faults);
	assert_true(fault_format(&faults.list[0], buffer, sizeof(buffer)) < 600);
	assert_int_equal(faults.list[0].where.line, 2);
	assert_non_null(strstr(buffer, "\n    2 | ..."));
	assert_true(faults.list[0].line_cut > 1000);
	faults_done(&faults);
}

/* Errors of several statements in one go, in their order; no more than FAULTS_MAX. */
static void test_several(void **state)
{
	static const char text[] = HEADER "on 'a' goto nix\n"
					  "on 'b' sya \"x\"\n"
					  "   set seen = 1; cllose\n"
					  "let a == 1\n"
					  "on 'c' say \"${seen} ${a}\"\n"
					  "state nixx\n"
					  "on\n";
	static const unsigned lines[] = {2, 3, 5, 8};
	struct faults faults;

	(void)state;
	read_wrong(text, sizeof(text) - 1, &faults);
	assert_int_equal(faults.errors, COUNT(lines));
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(faults.list[i].where.line, lines[i]);
	faults_done(&faults);
	assert_int_equal(faults.count, 0);
}

static void test_many(void **state)
{
	char text[8192] = HEADER;
	size_t length = strlen(text);
	struct faults faults;

	(void)state;
	for (int i = 0; i < 100; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "on 'a%d' sya \"x\"\n", i);
	read_wrong(text, length, &faults);
	assert_int_equal(faults.count, FAULTS_MAX);
	for (unsigned i = 0; i < FAULTS_MAX; i++)
		assert_int_equal(faults.list[i].where.line, 2 + i);
	faults_done(&faults);
}

/* Warnings: the script is taken all the same. */
static const struct wrong warnings[] = {
	{"on 'a' hand @fifo for 60s else say 'b'", "there is no responder 'fifo': always", "echo"},
	{"on \"A*\" ignore\non @\"AB\" ignore", "never reached: \"A*\" in line 2", "more special"},
	{"on 'A' ignore\non @'A' ignore", "never reached", NULL},
	{"match nocase\non 'A' ignore\non @'a' ignore", "never reached", NULL},
	{"otherwise ignore\n@otherwise close", "never reached", NULL},
	{"on connect ignore\non @connect close", "never reached", NULL},
	{"state a\non 'x' ignore\nstate @b\non 'x' ignore", "nobody goes to state 'b'", "a goto"},
	{"state a on 'x' goto b\nstate b on @connect ignore on 'y' goto a", "'a'", NULL},
	{"on 'a' {close @say \"x\"}", "never done", NULL},
	{"let @x = 1\non 'a' ignore", "'x' gets a value, but is never used", NULL},
	{"on 'a' set @x 1; clear x", "'x' gets a value, but is never used", NULL},
	{"text @t <<E\nE\non 'a' ignore", "nobody says text 't'", NULL},
};

static const char *const silent[] = {
	"on 'a' {close} when 1 == 1; reset when turn > 1 say \"x\"",
	"on 'A' when 1 == 1 ignore\non 'A' ignore",
	"always on 'A' ignore\nstate a on 'A' ignore",
	"on 'AB' ignore\non \"A*\" ignore",
	"on \"{x}\" ignore",
	"on 'a' collect x until empty",
	"prop V int = 1 set 'V {}' error \"x\"",
	"on every 1s ignore on every 1s ignore",
	"on idle 1s ignore on idle 2s ignore",
	"let a = 1\nlet b = \"${a}\"\non 'x' say ${b}",
};

static void test_warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(warnings) + COUNT(silent); i++) {
		struct faults faults = {.count = 0};
		struct script *script = NULL;
		bool warns = i < COUNT(warnings);
		char text[1024];
		unsigned line = 0;
		unsigned column = 0;
		size_t length = unmark(warns ? warnings[i].script : silent[i - COUNT(warnings)],
				       text, sizeof(text), &line, &column);

		assert_int_equal(script_load_text("t", text, length, knows, &faults, &script), 0);
		assert_int_equal(faults.errors, 0);
		assert_int_equal(faults.warnings, warns ? 1 : 0);
		assert_int_equal(faults.count, faults.warnings);
		if (warns) {
			assert_true(faults.list[0].warning);
			assert_int_equal(faults.list[0].where.line, line);
			assert_int_equal(faults.list[0].where.column, column);
			assert_non_null(strstr(faults.list[0].text, warnings[i].text));
		}
		script_unref(script);
		faults_done(&faults);
	}
}

/* What is not even a list. */
static void test_files(void **state)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	char shown[256];

	(void)state;
	read_wrong("", 0, &faults);
	assert_non_null(strstr(faults.list[0].text, "empty"));
	faults_done(&faults);
	read_wrong("marcel-script 2\n", 16, &faults);
	assert_non_null(strstr(faults.list[0].expected, "'marcel-script 1'"));
	faults_done(&faults);
	read_wrong("\xEF\xBB\xBFmarcel-script 1\n", 19, &faults);
	faults_done(&faults);
	assert_int_equal(script_load("/no/such", NULL, &faults, &script), -EINVAL);
	(void)fault_format(&faults.list[0], shown, sizeof(shown));
	assert_string_equal(shown, "/no/such: can't read it: No such file or directory");
	faults_done(&faults);
	assert_int_equal(script_load_bundle("MarcelS1\1", 9, &faults, &script), -EINVAL);
	faults_done(&faults);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_and_quotes),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
