/*
 * What errors of marceld, of the bus and of the connection mean, in words that say what to do; see
 * link.h. Texts of the daemon are shown behind where they say more than the error's name.
 */
#include "marcelctl/link-priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "base/text.h"

/* What there is to say of an error; %s in it is a number, or the daemon's own text. */
enum filling {
	FILL_NOTHING,
	FILL_NUMBER, /* of the conversation */
	FILL_TEXT,   /* of the daemon */
};

struct meaning {
	const char *name; /* behind LINK_ERROR; with a dot: whole */
	int error;
	enum filling filling;
	const char *text; /* marked with N_() */
};

/* No error: the conversation does not come round to what it was asked for. */
#define WAITS "waits"

static const struct meaning meanings[] = {
	{"NoSuchConversation", ENOENT, FILL_NUMBER,
	 N_("there is no conversation %s, or not any more; 'marcelctl list' shows those there "
	    "are")},
	{"NotHeld", ENOTCONN, FILL_NUMBER,
	 N_("no operator holds this conversation; take it first: marcelctl take %s")},
	{"NotOpen", ESTALE, FILL_NUMBER,
	 N_("this message is not open: somebody has answered it, or there is none of this "
	    "number; see 'marcelctl show %s'")},
	{"BadOrder", EINVAL, FILL_NOTHING,
	 N_("marceld does not understand this order: an order is one line of text, or /done, /close, "
	    "/reset, /give NAME, /note TEXT")},
	{"TooLong", E2BIG, FILL_NOTHING,
	 N_("the text is too long: an order has at most 4,095 bytes")},
	{"Busy", ENOBUFS, FILL_NUMBER,
	 N_("too many orders wait for conversation %s: its client does not read")},
	{"TooManyOrders", EAGAIN, FILL_NOTHING,
	 N_("too many of your orders wait to be carried out: try again later")},
	{"TooManyAnswers", EAGAIN, FILL_NOTHING,
	 N_("the system bus has not taken marceld's answers yet: try again later")},
	{"TooManySubscribers", EUSERS, FILL_NOTHING,
	 N_("too many programs follow marceld already")},
	{"NoMemory", ENOMEM, FILL_NOTHING,
	 N_("marceld is short of memory: it may have done this, or not")},
	{"NoSuchResponder", ESRCH, FILL_NOTHING, N_("marceld has no such responder")},
	{"AlreadyHeld", EALREADY, FILL_NUMBER, N_("an operator holds conversation %s already")},
	{"NotNow", EBUSY, FILL_NUMBER,
	 N_("conversation %s is at a point where nobody else can take it: a secret is asked for")},
	{"Closing", ESHUTDOWN, FILL_NUMBER,
	 N_("conversation %s is closing: nothing more can be said in it")},
	{"HandingOver", ECANCELED, FILL_NUMBER,
	 N_("marceld is being restarted and takes conversation %s along: try again")},
	{"Ending", ESHUTDOWN, FILL_NOTHING, N_("marceld is about to end")},
	{"NotPossible", EOPNOTSUPP, FILL_TEXT, N_("this is not possible: %s")},
	{"BadConfiguration", EBADMSG, FILL_TEXT,
	 N_("the configuration is bad, and the one before stays in force:\n%s")},
	{WAITS, ETIMEDOUT, FILL_NUMBER,
	 N_("conversation %s: its client does not read; the order waits and will be carried out "
	    "when it does")},
	{SD_BUS_ERROR_UNKNOWN_METHOD, EBADR, FILL_TEXT,
	 N_("this marceld is older than marcelctl and can't do that (%s)")},
	{SD_BUS_ERROR_UNKNOWN_INTERFACE, EBADR, FILL_TEXT,
	 N_("this marceld is older than marcelctl and can't do that (%s)")},
	{SD_BUS_ERROR_UNKNOWN_OBJECT, EBADR, FILL_TEXT,
	 N_("this marceld is older than marcelctl and can't do that (%s)")},
	{SD_BUS_ERROR_UNKNOWN_PROPERTY, EBADR, FILL_TEXT,
	 N_("this marceld is older than marcelctl and can't do that (%s)")},
	{SD_BUS_ERROR_SERVICE_UNKNOWN, ECONNRESET, FILL_NOTHING,
	 N_("marceld is not on the system bus any more")},
	{SD_BUS_ERROR_NAME_HAS_NO_OWNER, ECONNRESET, FILL_NOTHING,
	 N_("marceld is not on the system bus any more")},
	{SD_BUS_ERROR_NO_REPLY, ETIMEDOUT, FILL_NOTHING, N_("marceld does not answer")},
	{SD_BUS_ERROR_TIMEOUT, ETIMEDOUT, FILL_NOTHING, N_("marceld does not answer")},
	{SD_BUS_ERROR_DISCONNECTED, ECONNRESET, FILL_NOTHING,
	 N_("the connection to marceld broke off; conversations outlive its restart: try again")},
};
#define N_MEANINGS (sizeof(meanings) / sizeof(meanings[0]))

static const struct meaning *meaning_of(const char *name)
{
	const size_t length = strlen(LINK_ERROR);

	if (strncmp(name, LINK_ERROR, length) == 0)
		name += length;
	for (size_t i = 0; i < N_MEANINGS; i++) {
		if (strcmp(meanings[i].name, name) == 0)
			return &meanings[i];
	}
	return NULL;
}

int link_errno(const sd_bus_error *error)
{
	const struct meaning *meaning;

	if (error->name == NULL)
		return 0;
	meaning = meaning_of(error->name);
	if (meaning != NULL)
		return -meaning->error;
	switch (sd_bus_error_get_errno(error)) {
	case EPIPE:
	case ENOTCONN:
		return -ECONNRESET;
	default:
		return -sd_bus_error_get_errno(error);
	}
}

/* Who may do what was refused, and how one becomes it. */
static char *explain_access(void)
{
	char *text = NULL;
	char name[256];
	int length;

	length =
		asprintf(&text,
			 _("permission denied: only root and the group %s may control marceld\n"
			   "an administrator lets you with 'usermod -aG %s %s'; then log in again"),
			 LINK_GROUP, LINK_GROUP, link_user(name, sizeof(name)));
	return length < 0 ? NULL : text;
}

/* MEANING, with FILLING in it. */
static char *fill(const struct meaning *meaning, const char *filling)
{
	char *text = NULL;

	if (meaning->filling == FILL_NOTHING)
		return strdup(_(meaning->text));
/* The formats are those of the table. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (asprintf(&text, _(meaning->text), filling) < 0)
		return NULL;
#pragma GCC diagnostic pop
	return text;
}

char *link_explain(const struct link *link, const sd_bus_error *error, uint64_t number)
{
	const char *said = error->message != NULL && error->message[0] != '\0' ? error->message
									       : error->name;
	const struct meaning *meaning = meaning_of(error->name != NULL ? error->name : "");
	auto_free char *escaped = NULL;
	char digits[32];

	(void)link;
	if (number != 0 && link_errno(error) == -ETIMEDOUT)
		meaning = meaning_of(WAITS);
	if (meaning == NULL && link_errno(error) == -ECONNRESET)
		meaning = meaning_of(SD_BUS_ERROR_DISCONNECTED);
	if (meaning == NULL && link_errno(error) == -ETIMEDOUT)
		meaning = meaning_of(SD_BUS_ERROR_NO_REPLY);
	if (meaning == NULL && link_errno(error) == -EACCES)
		return explain_access();
	escaped = text_escape_lines(said != NULL ? said : "");
	if (escaped == NULL || meaning == NULL)
		return take_ptr(&escaped);
	if (meaning->filling == FILL_NUMBER && number == 0)
		return strdup(escaped);
	(void)snprintf(digits, sizeof(digits), "%" PRIu64, number);
	return fill(meaning, meaning->filling == FILL_NUMBER ? digits : escaped);
}

static void tell_line(const struct link *link, const char *line)
{
	if (link->tell != NULL)
		link->tell(link->tell_context, line);
	else
		(void)fprintf(stderr, "marcelctl: %s\n", line);
}

void link_tell(const struct link *link, const char *text)
{
	for (;;) {
		const size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		if (line != NULL)
			tell_line(link, line);
		free(line);
		/* Faults end with a line end. */
		if (text[length] == '\0' || text[length + 1] == '\0')
			return;
		text += length + 1;
	}
}
