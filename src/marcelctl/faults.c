/* Telling the faults of a script; see faults.h. */
#include "marcelctl/faults.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "marcelctl/say.h"
#include "respond/registry.h"

static void print_one(const struct fault *fault, FILE *file)
{
	const size_t size = fault_format(fault, NULL, 0) + 1;
	auto_free char *text = malloc(size);

	if (text == NULL)
		return;
	(void)fault_format(fault, text, size);
	(void)fprintf(file, "%s\n", text);
}

void faults_print(const struct faults *list, FILE *file)
{
	for (size_t i = 0; i < list->count; i++)
		print_one(&list->list[i], file);
	if (list->errors + list->warnings > list->count) {
		(void)fprintf(file, _("and %zu more"), list->errors + list->warnings - list->count);
		(void)fputc('\n', file);
	}
}

struct script *faults_load(const char *file)
{
	struct script *script = NULL;
	struct faults faults = {.count = 0};
	int r;

	r = script_load(file, responder_is_known, &faults, &script);
	faults_print(&faults, stderr);
	if (r < 0 && r != -EINVAL)
		say_error("%s: %s", file, say_errno(-r));
	faults_done(&faults);
	return r < 0 ? NULL : script;
}
