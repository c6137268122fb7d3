/* Loading scripts, and their life; see program.h. */
#include "respond/script/program.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/parse-priv.h"

/* A script with what holds it. */
struct loaded {
	struct script script; /* the first member: a script is part of one */
	struct arena arena;
	atomic_uint references;
};

static void free_loaded(struct loaded *loaded)
{
	if (loaded == NULL)
		return;
	for (size_t i = 0; i < loaded->script.n_scopes; i++)
		matcher_free(loaded->script.scopes[i].matcher);
	for (size_t i = 0; i < loaded->script.n_rules; i++)
		pattern_free(loaded->script.rules[i].pattern);
	arena_done(&loaded->arena);
	free(loaded);
}

/* What loading needs, in one place. */
struct loading {
	struct loaded *loaded;
	struct arena scratch;
	struct sources sources;
	struct parser parser;
};

static int begin(struct loading *loading, bool (*knows)(const char *responder),
		 struct faults *faults)
{
	*loading = (struct loading){.loaded = calloc(1, sizeof(*loading->loaded))};
	if (loading->loaded == NULL)
		return -ENOMEM;
	atomic_init(&loading->loaded->references, 1);
	loading->sources.keep = &loading->loaded->arena;
	loading->sources.scratch = &loading->scratch;
	loading->parser.keep = &loading->loaded->arena;
	loading->parser.scratch = &loading->scratch;
	loading->parser.sources = &loading->sources;
	loading->parser.faults = faults;
	loading->parser.knows = knows;
	return 0;
}

/* Scope 0, for rules outside of states. */
static bool add_always(struct parser *p, const struct source *source)
{
	if (!ROOM_FOR_ONE(p, scopes))
		return false;
	p->scopes[p->n_scopes++] = (struct draft_scope){
		.name = "always",
		.spot = {.source = source, .line = 1, .column = 1},
	};
	return true;
}

static int compile(struct loading *loading, const struct source *source)
{
	struct parser *p = &loading->parser;
	int r;

	if (is_list(source))
		return read_list(p, source, &loading->loaded->script);
	if (!add_always(p, source))
		return -ENOMEM;
	parse_source(p, source);
	if (!out_of_memory(p))
		check_script(p);
	if (out_of_memory(p))
		return -ENOMEM;
	if (p->faults->errors > 0)
		return -EINVAL;
	r = link_script(p, &loading->loaded->script);
	return r;
}

/* Makes the script of the sources; the first is the script itself. */
static int make(struct loading *loading)
{
	struct script *script = &loading->loaded->script;
	int r = compile(loading, loading->sources.list[0]);

	faults_sort(loading->parser.faults, loading->sources.list[0]->name);
	if (r < 0)
		return r;
	script->file = loading->sources.list[0]->name;
	r = sources_bundle(&loading->sources, &script->bundle, &script->bundle_size);
	if (r == 0)
		script->version = bundle_version(script->bundle, script->bundle_size);
	return r;
}

/* Frees what was needed, and gives the script away if R says that it is one. */
static int end(struct loading *loading, int r, struct script **ret_script)
{
	/* A rule's pattern belongs to the draft until the script is linked. */
	for (size_t i = 0; i < loading->parser.n_rules; i++)
		pattern_free(loading->parser.rules[i].rule.pattern);
	arena_done(&loading->scratch);
	if (r == 0)
		*ret_script = &loading->loaded->script;
	else
		free_loaded(loading->loaded);
	return r;
}

/* Tells that FILE can't be read. */
static void tell(struct faults *faults, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(struct faults *faults, const char *file, const char *format, ...)
{
	struct fault_site site = {.where = {.file = file}};
	va_list arguments;

	va_start(arguments, format);
	fault_add(faults, false, &site, NULL, format, arguments);
	va_end(arguments);
}

int script_load(const char *file, bool (*knows)(const char *responder), struct faults *faults,
		struct script **ret_script)
{
	const struct source *source;
	struct loading loading;
	char text[SOURCE_ERROR_SIZE];
	int r = begin(&loading, knows, faults);

	if (r < 0)
		return r;
	loading.sources.reads_files = true;
	r = sources_get(&loading.sources, file, &source);
	if (r == -EFBIG) {
		tell(faults, file, "a script has at most %zu bytes", SCRIPT_BYTES_MAX);
		r = -EINVAL;
	} else if (r < 0 && r != -ENOMEM) {
		tell(faults, file, "can't read it: %s", source_error(r, text));
		r = -EINVAL;
	}
	return end(&loading, r < 0 ? r : make(&loading), ret_script);
}

int script_load_text(const char *name, const char *text, size_t length,
		     bool (*knows)(const char *responder), struct faults *faults,
		     struct script **ret_script)
{
	const struct source *source;
	struct loading loading;
	int r = begin(&loading, knows, faults);

	if (r < 0)
		return r;
	loading.sources.reads_files = *name != '\0';
	if (length > SCRIPT_BYTES_MAX) {
		tell(faults, name, "a script has at most %zu bytes", SCRIPT_BYTES_MAX);
		r = -EINVAL;
	} else {
		r = sources_add(&loading.sources, name, text, length, &source);
	}
	return end(&loading, r < 0 ? r : make(&loading), ret_script);
}

int script_load_bundle(const char *bundle, size_t size, struct faults *faults,
		       struct script **ret_script)
{
	struct loading loading;
	int r = begin(&loading, NULL, faults);

	if (r < 0)
		return r;
	r = sources_unbundle(&loading.sources, bundle, size);
	if (r == -EINVAL)
		tell(faults, "bundle", "this is no bundle of a script");
	return end(&loading, r < 0 ? r : make(&loading), ret_script);
}

struct script *script_ref(struct script *script)
{
	struct loaded *loaded = (struct loaded *)script;

	(void)atomic_fetch_add_explicit(&loaded->references, 1, memory_order_relaxed);
	return script;
}

void script_unref(struct script *script)
{
	struct loaded *loaded = (struct loaded *)script;

	if (loaded != NULL &&
	    atomic_fetch_sub_explicit(&loaded->references, 1, memory_order_acq_rel) == 1)
		free_loaded(loaded);
}
