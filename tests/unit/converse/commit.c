/*
 * The commit protocol of a slot (converse/slot.h): a whole conversation runs in a child, one
 * instruction at a time, and after each of them this process looks at the slot as if the child had
 * died there. It must find one of the turns that the dialogue has, the one before or the one after
 * the last it saw, with the state that belongs to it; and with what the kernel counted, every byte
 * of input that is not answered and every byte of output that has not left must lie in the buffers.
 *
 * How that is done is in instants.h; what the client sends, and the turns and replies that follow
 * from it, in script.h.
 */
#include "instants.h"

/*
 * Records are other tests' matter, and thousands of instructions. The linker's names for what it
 * wraps are not ours to choose.
 */
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

static void test_lines(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "one");
	line(&script, "two");
	line(&script, "&3");
	line(&script, "");
	cut(&script);
	line(&script, "*4");
	cut(&script);
	long_line(&script, 20, 3);
	line(&script, "last");
	text_add(&script.in, "fin\n", 4);
	part(&script, script.in.used);
	text_add(&script.in, "too late\n", 9);
	cut_at_once(&script);
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

/* Input and output grow out of the near buffers, and come back. */
static void test_near_and_far(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "short");
	cut(&script);
	long_line(&script, 1700, 1000);
	line(&script, "behind");
	cut(&script);
	line(&script, "+2000");
	line(&script, "+100");
	cut(&script);
	line(&script, "near again");
	cut(&script);
	long_line(&script, 3000, 1600);
	line(&script, "a");
	cut(&script);
	line(&script, "&3");
	line(&script, "near at last");
	cut(&script);
	script.ends = true;
	part(&script, script.in.used);
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

/* What is unfinished is moved: from near to far, behind an answered line; then to the far front. */
static void test_moves(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "x");
	long_line(&script, 2100, 2000);
	long_line(&script, 150, 100);
	long_line(&script, 600, 400);
	long_line(&script, 20, 10);
	cut_at_once(&script);
	script.ends = true;
	part(&script, script.in.used);
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

/* What has no LF at the end of input is the last message. */
static void test_end_of_input(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "one");
	text_add(&script.in, "*2", 2);
	answer(&script, "*2", 2, script.in.used);
	cut_at_once(&script);
	script.ends = true;
	part(&script, script.in.used);
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

/* Raw at first, with a late line end; then lines. */
static void test_raw(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_UNDECIDED);
	text_add(&script.in, "abc", 3);
	answer(&script, "abc", 3, 3);
	cut_at_once(&script);
	text_add(&script.in, "&2", 2);
	answer(&script, "&2", 2, 5);
	cut(&script);
	text_add(&script.in, "\n", 1);
	cut(&script);
	add_point(&script, 6, PHASE_DIALOGUE);
	script.mode = MODE_LINE;
	line(&script, "def");
	cut(&script);
	script.ends = true;
	part(&script, script.in.used);
	script.mode = MODE_UNDECIDED;
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

static void test_timer(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "one");
	line(&script, "@");
	(void)tally_ring(&script.tally, text_put, &script.out);
	add_point(&script, script.in.used, PHASE_DIALOGUE);
	cut_at_once(&script);
	line(&script, "two");
	cut(&script);
	script.ends = true;
	part(&script, script.in.used);
	play(&script, tcp_pair(), false);
	end_script(&script);
}

/* Others take the conversation, and give it back, between two turns. */
static void test_switched(void **state)
{
	struct script script;

	(void)state;
	begin_script(&script, MODE_LINE);
	line(&script, "one");
	take(&script);
	cut(&script);
	line(&script, "two");
	line(&script, "&3");
	cut(&script);
	line(&script, "+2000");
	give_back(&script);
	cut(&script);
	line(&script, "three");
	take(&script);
	cut_at_once(&script);
	give_back(&script);
	cut(&script);
	line(&script, "four");
	take(&script);
	cut(&script);
	give_back(&script);
	cut(&script);
	script.ends = true;
	part(&script, script.in.used);
	play(&script, tcp_pair(), false);
	play(&script, unix_pair(), true);
	end_script(&script);
}

static int begin(void **state)
{
	(void)state;
	endword_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),    cmocka_unit_test(test_near_and_far),
		cmocka_unit_test(test_moves),    cmocka_unit_test(test_end_of_input),
		cmocka_unit_test(test_raw),      cmocka_unit_test(test_timer),
		cmocka_unit_test(test_switched),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
