/* Telling what was dropped; see losses.h. */
#include "record/losses.h"

#include <inttypes.h>

#include "base/clock.h"
#include "record/record-priv.h"

static void add_number(struct losses_record *record, const char *name, uint64_t number)
{
	size_t i = record->entry.n_fields++;
	int length = snprintf(record->numbers[i], sizeof(record->numbers[i]), "%" PRIu64, number);

	record->fields[i] = (struct entry_field){
		.name = {.bytes = name, .size = strlen(name)},
		.value = {.bytes = record->numbers[i], .size = (size_t)length},
	};
}

void losses_describe(const struct ring_losses *losses, struct losses_record *ret_record)
{
	struct losses_record *record = ret_record;
	uint64_t sums[3] = {0};
	int length;

	for (size_t kind = 0; kind < RECORD_KIND_COUNT; kind++)
		sums[record_kind_infos[kind].class] += losses->kinds[kind];
	record->entry = (struct entry){
		.kind = RECORD_DROPPED,
		.timestamp = clock_realtime(),
		.fields = record->fields,
	};
	length = snprintf(record->text, sizeof(record->text),
			  "Dropped %" PRIu64 " lines of the transcript, %" PRIu64
			  " informative and %" PRIu64 " essential records",
			  sums[RECORD_TRANSCRIPT], sums[RECORD_INFORMATIVE],
			  sums[RECORD_ESSENTIAL]);
	record->entry.text = (struct span){.bytes = record->text, .size = (size_t)length};
	add_number(record, "MARCEL_DROPPED_TRANSCRIPT", sums[RECORD_TRANSCRIPT]);
	add_number(record, "MARCEL_DROPPED_INFORMATIVE", sums[RECORD_INFORMATIVE]);
	add_number(record, "MARCEL_DROPPED_ESSENTIAL", sums[RECORD_ESSENTIAL]);
	if (losses->kinds[RECORD_CLOSED] > 0)
		add_number(record, "MARCEL_DROPPED_CLOSED", losses->kinds[RECORD_CLOSED]);
	if (losses->kinds[RECORD_REFUSED] > 0)
		add_number(record, "MARCEL_DROPPED_REFUSED", losses->kinds[RECORD_REFUSED]);
	if (losses->damaged > 0)
		add_number(record, "MARCEL_DROPPED_DAMAGED", losses->damaged);
}
