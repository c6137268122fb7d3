/* The control's thread, its loop, and its clients' lives; see control.h and control-priv.h. */
#include "control/control.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "control/control-priv.h"
#include "record/record.h"

/* Conversations that are restored later than this are seen as they are by then. */
#define RESTORED_PATIENCE (5 * USEC_PER_SEC)

#if defined(__SANITIZE_THREAD__)
#define WITH_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_THREAD_SANITIZER
#endif
#endif

#ifdef WITH_THREAD_SANITIZER
/*
 * All hash tables of libsystemd share a random key, which a table that grows draws anew, and which
 * each table copies when it is made. Two threads may do so at once: the key is some mixture then,
 * which is as good.
 * NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
 */
const char *__tsan_default_suppressions(void);
/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming) */
const char *__tsan_default_suppressions(void)
{
	return "race:getrandom\n";
}
#endif

static void news_free(struct news *news)
{
	if (news == NULL)
		return;
	if (news->facts != NULL)
		facts_done(news->facts);
	free(news->facts);
	free(news->text);
	free(news);
}

/*
 * Clients.
 */

int client_new(struct control *control, sd_bus *bus, bool peer, struct client **ret_client)
{
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		sd_bus_close(bus);
		(void)sd_bus_unref(bus);
		return -ENOMEM;
	}
	*client = (struct client){.control = control,
				  .next = control->clients,
				  .bus = bus,
				  .peer = peer,
				  .heard = clock_now()};
	control->clients = client;
	*ret_client = client;
	return 0;
}

uint64_t client_backlog(const struct client *client)
{
	uint64_t n = 0;

	(void)sd_bus_get_n_queued_write(client->bus, &n);
	return n;
}

void client_drop(struct client *client)
{
	if (client->dropped)
		return;
	client->dropped = true;
	(void)sd_event_source_set_enabled(client->control->on_reap, SD_EVENT_ONESHOT);
}

static void client_free(struct client *client)
{
	struct control *control = client->control;

	orders_forget(client);
	if (client == control->bus)
		bus_lost(control);
	(void)sd_event_source_disable_unref(client->patience);
	guard_free(client->guard);
	subscribers_free(client);
	/* Without flushing: that would wait for whoever does not read. */
	sd_bus_close(client->bus);
	(void)sd_bus_unref(client->bus);
	free(client);
}

/* Frees the clients that are dropped, or ALL. */
static void reap(struct control *control, bool all)
{
	struct client **at = &control->clients;

	while (*at != NULL) {
		struct client *client = *at;

		if (!all && !client->dropped) {
			at = &client->next;
			continue;
		}
		*at = client->next;
		client_free(client);
	}
}

static int on_reap(sd_event_source *source, void *context)
{
	struct control *control = context;

	(void)source;
	reap(control, false);
	events_update(control);
	return 0;
}

/* Sees every message first, also the one that sd-bus makes itself when a connection has ended. */
static int on_message(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct client *client = context;

	(void)error;
	if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.Local", "Disconnected") > 0) {
		client_drop(client);
		return 0;
	}
	client->heard = clock_now();
	if (client->guard != NULL)
		guard_count(client->guard);
	if (client->dropped)
		return 1;
	/* It asks and asks and reads no answer. */
	if (client_backlog(client) > CLIENT_QUEUE_MAX) {
		client_drop(client);
		return 1;
	}
	return 0;
}

int client_start(struct client *client)
{
	int r = sd_bus_add_filter(client->bus, NULL, on_message, client);

	if (r >= 0)
		r = object_show(client);
	if (r >= 0)
		r = sd_bus_start(client->bus);
	if (r >= 0)
		r = sd_bus_attach_event(client->bus, client->control->loop,
					SD_EVENT_PRIORITY_NORMAL);
	return r < 0 ? r : 0;
}

/*
 * The thread.
 */

static struct news *take_news(struct control *control, bool *ret_lost, bool *ret_stop)
{
	struct news *news;
	uint64_t count;

	(void)!read(control->wake, &count, sizeof(count));
	lock_take(&control->lock);
	news = control->news;
	control->news = NULL;
	*ret_lost = control->news_lost;
	control->news_lost = false;
	*ret_stop = control->stop;
	lock_drop(&control->lock);
	return news;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct control *control = context;
	bool lost, stop;
	struct news *news = take_news(control, &lost, &stop);

	(void)source;
	(void)fd;
	(void)revents;
	while (news != NULL) {
		struct news *next = news->next;

		if (news->facts != NULL) {
			facts_done(&control->facts);
			control->facts = *news->facts;
			*news->facts = (struct facts){.version = NULL};
		}
		orders_reloaded(control, news->result, news->text);
		news_free(news);
		news = next;
	}
	if (lost)
		orders_reloaded(control, -ENOMEM, NULL);
	control->stopping = stop;
	return 0;
}

static int begin(struct control *control)
{
	int r = sd_event_new(&control->loop);

	if (r >= 0)
		r = sd_event_add_io(control->loop, &control->on_wake, control->wake, EPOLLIN,
				    on_wake, control);
	if (r >= 0)
		r = sd_event_add_io(control->loop, &control->on_event, watch_fd(control->watch),
				    EPOLLIN, events_on_watch, control);
	if (r >= 0)
		r = sd_event_add_defer(control->loop, &control->on_reap, on_reap, control);
	if (r >= 0)
		r = sd_event_source_set_enabled(control->on_reap, SD_EVENT_OFF);
	if (r >= 0)
		r = peers_start(control);
	if (r >= 0 && control->wants_bus)
		r = bus_start(control);
	return r < 0 ? r : 0;
}

static void end(struct control *control)
{
	if (control->listening)
		watch_listen(control->watch, false);
	peers_stop(control);
	bus_stop(control);
	reap(control, true);
	control->on_reap = sd_event_source_disable_unref(control->on_reap);
	control->on_event = sd_event_source_disable_unref(control->on_event);
	control->on_wake = sd_event_source_disable_unref(control->on_wake);
	control->loop = sd_event_unref(control->loop);
}

static void *run(void *argument)
{
	struct control *control = argument;
	int r = begin(control);

	control->result = r;
	gate_open(&control->ready);
	/* Who asks meanwhile has his answer a moment later. */
	if (r >= 0)
		watch_await_restored(control->watch,
				     clock_deadline(clock_now(), RESTORED_PATIENCE));
	/* Not sd_event_loop(): at its exit each sd_bus waits for whoever does not read. */
	while (r >= 0 && !control->stopping)
		r = sd_event_run(control->loop, UINT64_MAX);
	if (r < 0 && control->result >= 0)
		record_note(RECORD_TROUBLE, "The control ends: %s", strerrordesc_np(-r));
	end(control);
	return NULL;
}

/*
 * The main thread's side.
 */

static void control_free(struct control *control)
{
	struct news *news = control->news;

	while (news != NULL) {
		struct news *next = news->next;

		news_free(news);
		news = next;
	}
	facts_done(&control->facts);
	control_socket_close(&control->socket);
	close_fd(&control->wake);
	lock_done(&control->lock);
	free(control);
}

/* Whether R says that there is no directory for the socket, or none for this user. */
static bool has_no_directory(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM || r == -EROFS;
}

static void tell_no_socket(const struct control_places *places, int r)
{
	if (r == -EADDRINUSE)
		record_note(RECORD_NOTICE, "No control socket: another process serves %s",
			    places->socket);
	else if (has_no_directory(r) && !places->expected)
		return;
	else if (r == -EEXIST)
		record_note(RECORD_TROUBLE, "No control socket: %s is there and no socket",
			    places->socket);
	else if (r == -ENAMETOOLONG)
		record_note(RECORD_TROUBLE, "No control socket: the path %s is too long",
			    places->socket);
	else
		record_note(RECORD_TROUBLE, "No control socket at %s: %s", places->socket,
			    strerrordesc_np(-r));
}

/* The group is kept out, for R. */
static void tell_no_group(const struct control_places *places, int r)
{
	const char *why = strerrordesc_np(-r);

	if (r == -EXDEV)
		why = "that is on another file system";
	else if (r == -ENAMETOOLONG)
		why = "that path is too long";
	record_note(RECORD_TROUBLE,
		    "Operators can't use the control socket %s, only its owner and root can: it "
		    "does not get the group of %s: %s",
		    places->socket, places->group_directory, why);
}

/* Makes the socket; the daemon works without it too. */
static void open_socket(struct control *control, const struct control_places *places)
{
	int r;

	if (places->socket == NULL) {
		if (places->expected)
			record_note(RECORD_TROUBLE, "No control socket: there is no directory for "
						    "it");
		return;
	}
	r = control_socket_open(places->socket, places->group_directory, &control->socket);
	if (r < 0)
		tell_no_socket(places, r);
	else if (control->socket.group_fault < 0)
		tell_no_group(places, control->socket.group_fault);
}

/* Starts the thread with all signals blocked: they are for others. */
static int start_thread(struct control *control)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	r = thread_start(&control->thread, "control", NULL, 0, run, control);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	gate_wait(&control->ready);
	if (control->result < 0)
		thread_join(control->thread);
	return control->result;
}

int control_start(struct watch *watch, const struct control_places *places,
		  const struct control_facts *facts, const struct control_hooks *hooks,
		  struct control **ret_control)
{
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (control == NULL)
		return -ENOMEM;
	*control = (struct control){
		.watch = watch,
		.hooks = *hooks,
		.socket = CONTROL_SOCKET_NONE,
		.wants_bus = places->bus,
		.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	r = control->wake < 0 ? -errno : 0;
	lock_init(&control->lock, "control");
	if (r >= 0)
		r = facts_copy(facts, &control->facts);
	if (r >= 0)
		open_socket(control, places);
	if (r >= 0)
		r = start_thread(control);
	if (r < 0) {
		control_free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

static void ring(struct control *control)
{
	const uint64_t one = 1;

	(void)!write(control->wake, &one, sizeof(one));
}

void control_stop(struct control *control)
{
	if (control == NULL)
		return;
	lock_take(&control->lock);
	control->stop = true;
	lock_drop(&control->lock);
	ring(control);
	watch_hurry(control->watch);
	thread_join(control->thread);
	control_free(control);
}

/* Makes news; NULL without memory. */
static struct news *news_new(int result, const char *text, const struct control_facts *facts)
{
	struct news *news = calloc(1, sizeof(*news));

	if (news == NULL)
		return NULL;
	news->result = result;
	news->text = strdup(text != NULL ? text : "");
	if (facts != NULL)
		news->facts = calloc(1, sizeof(*news->facts));
	if (news->text == NULL ||
	    (facts != NULL && (news->facts == NULL || facts_copy(facts, news->facts) < 0))) {
		news_free(news);
		return NULL;
	}
	return news;
}

void control_reloaded(struct control *control, int result, const char *text,
		      const struct control_facts *facts)
{
	struct news *news;
	struct news **at;

	if (control == NULL)
		return;
	news = news_new(result, text, facts);
	lock_take(&control->lock);
	at = &control->news;
	while (*at != NULL)
		at = &(*at)->next;
	*at = news;
	control->news_lost = control->news_lost || news == NULL;
	lock_drop(&control->lock);
	ring(control);
}
