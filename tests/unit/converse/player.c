/*
 * The player: what the daemon does around a script, framing, virtual time, and other responders.
 */
#include "converse/player.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCRIPT "marcel-script 1\n"

struct game {
	struct script *script;
	struct player *player;
};

static void begin(struct game *game, const char *text)
{
	struct faults faults = {.count = 0};
	struct player_setup setup = {.conversation = 42, .seed = 1};

	assert_int_equal(script_load_text("t.script", text, strlen(text), NULL, &faults,
					  &game->script),
			 0);
	faults_done(&faults);
	setup.script = game->script;
	assert_int_equal(player_new(&setup, &game->player), 0);
}

static void end(struct game *game)
{
	player_free(game->player);
	script_unref(game->script);
}

/* What was said since the last time is EXPECTED. */
static void said(struct game *game, const char *expected)
{
	size_t length;
	const char *output = player_output(game->player, &length);

	assert_string_equal(output, expected);
	assert_int_equal(length, strlen(expected));
	player_forget(game->player);
}

static void say(struct game *game, const char *message)
{
	assert_int_equal(player_say(game->player, message, strlen(message)), 0);
}

static void feed(struct game *game, const char *bytes)
{
	assert_int_equal(player_feed(game->player, bytes, strlen(bytes)), 0);
}

static void test_daemon_part(void **state)
{
	struct game game;

	(void)state;
	begin(&game, SCRIPT "on \"a*\" say \"A ${turn}\"\n");
	assert_int_equal(player_begin(game.player), 0);
	said(&game, "Vous êtes connecté au serveur Marcel. Envoyez vos messages.\n");
	say(&game, "abc");
	said(&game, "A 1\r\n");
	say(&game, "x");
	said(&game, "");
	assert_int_equal(player_turn(game.player), 2);
	say(&game, "FIN");
	said(&game, "fin\r\n");
	assert_int_equal(player_end(game.player), END_END_WORD);
	say(&game, "a");
	assert_int_equal(player_eof(game.player), 0);
	said(&game, "");
	end(&game);

	begin(&game, "one\ntwo\n");
	assert_int_equal(player_begin(game.player), 0);
	player_forget(game.player);
	player_use_lf(game.player);
	say(&game, "a");
	say(&game, "b");
	say(&game, "c");
	said(&game, "one\ntwo\none\n");
	assert_int_equal(player_due(game.player), 1800 * USEC_PER_SEC);
	assert_int_equal(player_time(game.player), 0);
	said(&game, "fin\n");
	assert_int_equal(player_end(game.player), END_IDLE);
	assert_int_equal(player_elapsed(game.player), 1800 * USEC_PER_SEC);
	end(&game);
}

static void test_ends(void **state)
{
	struct game game;

	(void)state;
	begin(&game, SCRIPT "end none\non connect say \"hi\"\non 'r' say \"r\"; reset\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "");
	assert_int_equal(player_end(game.player), END_NONE);
	say(&game, "r");
	said(&game, "hi\nr\r\n");
	assert_true(player_was_reset(game.player));
	end(&game);

	begin(&game, SCRIPT "end none\non connect say \"hi\"\non eof say \"bye\"\n");
	assert_int_equal(player_begin(game.player), 0);
	feed(&game, "x");
	assert_int_equal(player_eof(game.player), 0);
	said(&game, "hi\nbye\n");
	assert_int_equal(player_turn(game.player), 1);
	assert_int_equal(player_end(game.player), END_INPUT);
	end(&game);

	begin(&game, SCRIPT "end \"quit\"\non connect ignore\non 'q' close\n");
	assert_int_equal(player_begin(game.player), 0);
	assert_int_equal(player_stop(game.player), 0);
	said(&game, "fin\n");
	assert_int_equal(player_end(game.player), END_STOP);
	end(&game);
}

static void test_pipeline(void **state)
{
	struct game game;

	(void)state;
	begin(&game,
	      SCRIPT "frame line crlf\non connect wait 1s; say \"hi\"\n"
		     "on 'D' say \"go\"; collect b until \".\"; wait 5s; say \"${b|length}\"\n"
		     "on 'L' collect c 4 bytes; say \"[${c}]\"\non early say \"early\"\n"
		     "otherwise say \"? ${turn}\"\n");
	feed(&game, "D\r\nx\r\n.\r\nfoo\r\nL\r\nabcdne");
	assert_int_equal(player_begin(game.player), 0);
	said(&game, "early\r\nhi\r\ngo\r\n3\r\n? 2\r\n[abcd]\r\n");
	assert_int_equal(player_elapsed(game.player), 6 * USEC_PER_SEC);
	assert_int_equal(player_unframed(game.player), 2);
	feed(&game, "xt\r\n");
	said(&game, "? 4\r\n");
	/* A line end is added unless the bytes are just those that are missing. */
	say(&game, "L");
	say(&game, "1234");
	say(&game, "L");
	say(&game, "12");
	say(&game, "L");
	say(&game, "12345");
	said(&game, "[1234]\r\n[12\r\n]\r\n[1234]\r\n? 8\r\n");
	end(&game);
}

static void test_framings(void **state)
{
	struct game game;
	size_t length;

	(void)state;
	begin(&game, SCRIPT
	      "frame prefix 2\non connect ignore\non 'a' say \"A\"\non overflow say \"o\"\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "a");
	assert_memory_equal(player_output(game.player, &length), "\0\1A", 3);
	assert_int_equal(length, 3);
	assert_int_equal(player_say(game.player, NULL, 65536), -EMSGSIZE);
	end(&game);

	begin(&game, SCRIPT
	      "frame line any split ';' join\non connect ignore\non \"*\" say \"<${message}>\"\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "a;b; c");
	said(&game, "<a>;<b>;<c>\r\n");
	say(&game, "d;");
	said(&game, "<d>\r\n");
	end(&game);

	begin(&game, SCRIPT "frame line crlf max 5\non connect ignore\non overflow say \"long\"\n"
			    "on \"*\" say \"<${message}>\"\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "123456789");
	say(&game, "abc");
	said(&game, "long\r\n<abc>\r\n");
	end(&game);

	begin(&game, SCRIPT "frame line crlf max 5\non connect ignore\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "123456789");
	said(&game, "Message trop long.\r\nfin\r\n");
	assert_int_equal(player_end(game.player), END_TOO_LONG);
	end(&game);
}

static void test_hand(void **state)
{
	struct game game;

	(void)state;
	begin(&game, SCRIPT "on connect ignore\n"
			    "on \"e*\" hand echo for 60s else say \"nobody\"; say \"then\"\n"
			    "on 'f' hand fifo for 60s else say \"nobody\"; say \"then\"\n"
			    "on 'w' wait 1s; hand echo; say \"then\"\n"
			    "on 's' hand echo stay\n");
	assert_int_equal(player_begin(game.player), 0);
	say(&game, "e1");
	say(&game, "e2");
	said(&game, "e1\r\nthen\r\ne2\r\nthen\r\n");
	say(&game, "f");
	said(&game, "nobody\r\nthen\r\n");
	say(&game, "w");
	said(&game, "");
	say(&game, "next");
	said(&game, "next\r\nthen\r\n");
	say(&game, "s");
	say(&game, "f");
	said(&game, "s\r\nf\r\n");
	say(&game, "fin");
	said(&game, "fin\r\n");
	end(&game);
}

static void test_time(void **state)
{
	struct game game;

	(void)state;
	begin(&game, SCRIPT
	      "on connect ignore\non every 10s say \"tick\"\non idle 1min say \"idle\"; close\n");
	assert_int_equal(player_begin(game.player), 0);
	assert_int_equal(player_due(game.player), 10 * USEC_PER_SEC);
	assert_int_equal(player_pass(game.player, 25 * USEC_PER_SEC), 0);
	said(&game, "tick\ntick\n");
	assert_int_equal(player_elapsed(game.player), 25 * USEC_PER_SEC);
	assert_int_equal(player_pass(game.player, 100 * USEC_PER_SEC), 0);
	said(&game, "tick\ntick\ntick\ntick\nidle\n");
	assert_int_equal(player_end(game.player), END_RESPONDER);
	assert_int_equal(player_due(game.player), USEC_NEVER);
	end(&game);

	/* Bytes that no line end follows become a message by silence. */
	begin(&game, SCRIPT "on connect ignore\non 'raw' say \"yes\"\n");
	assert_int_equal(player_begin(game.player), 0);
	feed(&game, "raw");
	said(&game, "");
	assert_int_equal(player_due(game.player), 400 * USEC_PER_MSEC);
	assert_int_equal(player_time(game.player), 0);
	said(&game, "yes");
	end(&game);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_daemon_part), cmocka_unit_test(test_ends),
		cmocka_unit_test(test_pipeline),    cmocka_unit_test(test_framings),
		cmocka_unit_test(test_hand),        cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
