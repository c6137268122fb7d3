/*
 * Playing a transcript against a script: what the client says is given to a player
 * (converse/player.h), what the script answers is compared with what the transcript expects.
 *
 * Lines are compared byte for byte but for their ends: CRLF and LF are the same there. Bytes (S|)
 * are compared as they are. The end of the connection may be left out at the end of a transcript.
 *
 * Where they differ, the place is shown, with the numbers of the transcript's lines:
 *
 *	mail.transcript:12: not what is expected (answered by mail.script:20)
 *	   11   C> RCPT TO:<someone@example.org>
 *	   12 - S> 250 2.1.5 OK
 *	      + S> 503 5.5.1 MAIL first
 *
 * One thread.
 */
#pragma once

#include <stdio.h>

#include "marcelctl/transcript.h"
#include "respond/script/program.h"

/*
 * Plays TRANSCRIPT against SCRIPT and writes what differs to OUT. Returns the number of places
 * that differ, 0 if none does, or -ENOMEM.
 */
int play_transcript(struct script *script, const struct transcript *transcript, FILE *out);
