/*
 * Between the files of the desk's model: talks (desk-model.c), what was said (desk-said.c) and open
 * turns (desk-turns.c). Pure; one thread.
 */
#pragma once

#include <stdint.h>

#include "marcelctl/desk-model.h"

/* The dialogue is empty. */
void desk_talk_free_lines(struct desk_talk *talk);

/* When TURN was opened: as its message says, else NOW. */
uint64_t desk_talk_time_of(const struct desk_talk *talk, uint64_t turn, uint64_t now);

/* A message of the client's has opened TURN. */
void desk_talk_open_turn(struct desk_talk *talk, uint64_t turn);

/* Turns below TURN are answered: it is the oldest that waits (0: none does). */
void desk_talk_set_waiting(struct desk_talk *talk, uint64_t turn, uint64_t since);
