/*
 * marcelctl take: takes conversations from whoever answers them; an operator does from then on, in
 * the middle of the dialogue. `marcelctl give` gives them back. One thread.
 */
#include "marcelctl/live.h"

int verb_take(int argc, char **argv)
{
	return live_call_each(argc, argv, "Take");
}
