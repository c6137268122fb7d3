/* The texts of the end reasons; the table is in end-reasons.h. */
#include "converse/end-reasons.h"

const char *end_reason_name(enum end_reason reason)
{
#define END_NAME(NAME, name, sentence) [END_##NAME] = (name),
	static const char *const names[END_REASON_COUNT] = {END_REASONS(END_NAME)};
#undef END_NAME

	return names[reason];
}

const char *end_reason_sentence(enum end_reason reason)
{
#define END_SENTENCE(NAME, name, sentence) [END_##NAME] = (sentence),
	static const char *const sentences[END_REASON_COUNT] = {END_REASONS(END_SENTENCE)};
#undef END_SENTENCE

	return sentences[reason];
}
