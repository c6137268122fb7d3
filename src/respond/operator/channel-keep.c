/*
 * What of the channel outlives the process: the FIFOs, in a vault, and a table in a memfd that says
 * whose they are. All of it lies in the service manager's store; without one the channel works the
 * same, and the next process finds nothing.
 *
 * A FIFO is known by its inode, whatever has become of its name.
 *
 * How it fails: a FIFO that cannot be kept is served without, and a restart loses what is unread in
 * it; a vault or table that makes no sense is left, and begun anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "record/record.h"
#include "respond/operator/channel-priv.h"

/* "operator" and the number of the layout. */
#define MAGIC UINT64_C(0x6f70657261746f01)

/* Has the vault leave room in flight for another one: each FIFO belongs to a client's socket. */
static void bound_vault(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit.rlim_cur = 1024;
	vault_set_limit(&channel.vault, limit.rlim_cur, vault_share(limit.rlim_cur, 2));
}

/* Maps the table of an earlier process, whose memfd FD is. Returns 0 or a negative errno. */
static int map_table(int fd)
{
	struct keep_table *table;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(*table))
		return -EBADMSG;
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED)
		return -errno;
	if (table->magic != MAGIC) {
		(void)munmap(table, sizeof(*table));
		return -EBADMSG;
	}
	channel.table = table;
	return 0;
}

/* Makes a table and stores it; one of this process alone if need be. */
static int make_table(void)
{
	auto_close int fd = memfd_create("marcel-operator", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct keep_table *table = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*table)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (table == MAP_FAILED) {
		channel_complain(TOLD_TABLE, NULL, "Its memory would not survive a restart",
				 -errno);
		table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (table == MAP_FAILED)
			return -ENOMEM;
		keepsake_unstore_fd(KEEP_TABLE);
	} else {
		keepsake_store_fd(KEEP_TABLE, fd);
	}
	table->magic = MAGIC;
	channel.table = table;
	return 0;
}

/* An entry of the table, to be found by its inode. */
struct known {
	uint64_t dev;
	uint64_t ino;
	uint32_t slot;
};

struct finding {
	struct known *known;
	size_t n;
};

static int compare_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return 0;
}

static uint32_t take_slot(void)
{
	return channel.n_free > 0 ? channel.free_slots[--channel.n_free] : NO_SLOT;
}

static void set_entry(uint32_t slot, uint64_t number, const struct stat *st)
{
	channel.table->entries[slot] = (struct keep_entry){
		.number = number,
		.dev = st->st_dev,
		.ino = st->st_ino,
	};
}

/* A vault_owner_fn. FIFOs that the table does not know have ended long ago. */
static uint32_t find_owner(void *context, int fd)
{
	const struct finding *finding = context;
	const struct known *found = NULL;
	struct known key;
	struct stat st;
	uint32_t slot;

	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return VAULT_NOBODY;
	key = (struct known){.dev = st.st_dev, .ino = st.st_ino};
	if (finding->n > 0)
		found = bsearch(&key, finding->known, finding->n, sizeof(key), compare_known);
	if (found != NULL)
		return found->slot;
	slot = take_slot();
	if (slot == NO_SLOT)
		return VAULT_NOBODY;
	set_entry(slot, 0, &st);
	channel.table->entries[slot].ended = 1;
	return slot;
}

/* Lists what the table knows; the other slots are free. */
static int list_known(struct finding *finding)
{
	const struct keep_entry *entries = channel.table->entries;

	finding->known = calloc(KEEP_SLOTS, sizeof(*finding->known));
	if (finding->known == NULL)
		return -ENOMEM;
	for (uint32_t i = KEEP_SLOTS; i-- > 0;) {
		if (entries[i].ino == 0)
			channel.free_slots[channel.n_free++] = i;
		else
			finding->known[finding->n++] = (struct known){.dev = entries[i].dev,
								      .ino = entries[i].ino,
								      .slot = i};
	}
	qsort(finding->known, finding->n, sizeof(*finding->known), compare_known);
	return 0;
}

/* Gives the FIFO *FD of SLOT its place. */
static void carry(uint32_t slot, int *fd)
{
	const struct keep_entry *entry = &channel.table->entries[slot];
	struct place *place = place_new(entry->number);

	if (place == NULL) {
		vault_forget(&channel.vault, slot);
		return;
	}
	place->fd = take_fd(fd);
	place->slot = slot;
	place->link = entry->link;
	place->link_unsure = true;
	place->carried = true;
	channel.by_slot[slot] = place;
	if (entry->number == 0 || entry->ended != 0 || channel_find(entry->number) != NULL) {
		keep_end(place);
		sweep_let_die(place);
	} else {
		channel_add(place);
	}
}

/* Takes out of the vault what it has into FDS, and forgets what it has not. */
static void read_vault_into(int fds[], struct finding *finding)
{
	int r = vault_read(&channel.vault, fds, find_owner, finding);

	for (uint32_t i = 0; i < KEEP_SLOTS; i++) {
		struct keep_entry *entry = &channel.table->entries[i];

		if (fds[i] >= 0) {
			carry(i, &fds[i]);
			close_fd(&fds[i]);
		} else if (entry->ino != 0) {
			*entry = (struct keep_entry){.number = 0};
			channel.free_slots[channel.n_free++] = i;
		}
	}
	if (r > 0)
		record_note(RECORD_NOT_CARRIED,
			    "The limit of descriptors (LimitNOFILE=) is too low to take all FIFOs "
			    "of the operator channel over: %d messages were cut",
			    r);
	if (r < 0)
		record_note(RECORD_NOT_CARRIED,
			    "Not all FIFOs of the operator channel could be taken over: %s",
			    strerrordesc_np(-r));
}

/* Returns 0 or -ENOMEM. */
static int read_vault(void)
{
	struct finding finding = {.n = 0};
	int *fds = malloc(KEEP_SLOTS * sizeof(*fds));
	int r = fds == NULL ? -ENOMEM : list_known(&finding);

	if (r == 0) {
		for (uint32_t i = 0; i < KEEP_SLOTS; i++)
			fds[i] = -1;
		read_vault_into(fds, &finding);
	}
	free(finding.known);
	free(fds);
	return r;
}

bool keep_claim(void)
{
	static const char *const names[] = {KEEP_VAULT_IN, KEEP_VAULT_OUT, KEEP_TABLE};
	bool some = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = keepsake_take_fd(names[i]);

		channel.kept[i] = fd < 0 ? -1 : fd;
		some = some || fd >= 0;
	}
	return some;
}

/* Takes over what was claimed. Returns 0; -ENOENT: there is nothing; or another negative errno. */
static int adopt(void)
{
	auto_close int in = take_fd(&channel.kept[0]);
	auto_close int out = take_fd(&channel.kept[1]);
	auto_close int table = take_fd(&channel.kept[2]);
	int r;

	if (in < 0 || out < 0 || table < 0)
		return in < 0 && out < 0 && table < 0 ? -ENOENT : -EBADMSG;
	r = map_table(table);
	if (r < 0)
		return r;
	return vault_adopt(&channel.vault, take_fd(&in), take_fd(&out), KEEP_SLOTS);
}

/* Makes a vault and stores it. Without one nothing is kept. */
static void make_vault(void)
{
	int r = vault_init(&channel.vault, KEEP_SLOTS);

	if (r < 0) {
		vault_done(&channel.vault);
		channel_complain(TOLD_VAULT, NULL, "Its FIFOs would not survive a restart", r);
		return;
	}
	keepsake_store_fd(KEEP_VAULT_IN, channel.vault.in);
	keepsake_store_fd(KEEP_VAULT_OUT, channel.vault.out);
}

static void begin_anew(void)
{
	vault_done(&channel.vault);
	make_vault();
	channel.n_free = 0;
	for (uint32_t i = KEEP_SLOTS; i-- > 0;)
		channel.free_slots[channel.n_free++] = i;
}

int keep_open(void)
{
	int r;

	channel.by_slot = calloc(KEEP_SLOTS, sizeof(struct place *));
	channel.free_slots = malloc(KEEP_SLOTS * sizeof(*channel.free_slots));
	if (channel.by_slot == NULL || channel.free_slots == NULL)
		return -ENOMEM;
	r = adopt();
	if (r == 0)
		r = read_vault();
	channel.inherited = r == 0;
	if (r == 0) {
		bound_vault();
		return 0;
	}
	if (r != -ENOENT)
		record_note(RECORD_NOT_CARRIED,
			    "What was kept of the operator channel cannot be used: %s",
			    strerrordesc_np(-r));
	if (channel.table != NULL)
		(void)munmap(channel.table, sizeof(*channel.table));
	channel.table = NULL;
	r = make_table();
	if (r < 0)
		return r;
	begin_anew();
	bound_vault();
	return 0;
}

void keep_close(void)
{
	vault_done(&channel.vault);
	if (channel.table != NULL)
		(void)munmap(channel.table, sizeof(*channel.table));
	channel.table = NULL;
	free(take_ptr(&channel.by_slot));
	free(take_ptr(&channel.free_slots));
	channel.n_free = 0;
}

/* A vault_fd_fn. */
static int fd_of(void *context, uint32_t slot)
{
	(void)context;
	return channel.by_slot[slot]->fd;
}

int keep_clean(void)
{
	if (channel.vault.in < 0 || (channel.vault.dead == 0 && !keep_is_due()))
		return 0;
	return vault_clean(&channel.vault, fd_of, NULL);
}

bool keep_is_due(void)
{
	return channel.vault.in >= 0 && vault_needs_cleaning(&channel.vault);
}

void keep_add(struct place *place)
{
	uint32_t slot;
	struct stat st;
	int r;

	if (channel.vault.in < 0 || fstat(place->fd, &st) < 0)
		return;
	slot = take_slot();
	if (slot == NO_SLOT) {
		channel_complain(TOLD_VAULT, place, "Its FIFO would not survive a restart",
				 -ENOBUFS);
		return;
	}
	if (keep_is_due())
		(void)keep_clean();
	/* The table comes first: what is in the vault must be known. */
	set_entry(slot, place->number, &st);
	r = vault_keep(&channel.vault, slot, place->fd);
	if (r == -ETOOMANYREFS && keep_clean() == 0)
		r = vault_keep(&channel.vault, slot, place->fd);
	if (r < 0) {
		channel.table->entries[slot] = (struct keep_entry){.number = 0};
		channel.free_slots[channel.n_free++] = slot;
		channel_complain(TOLD_VAULT, place, "Its FIFO would not survive a restart", r);
		return;
	}
	channel_recovered(TOLD_VAULT);
	place->slot = slot;
	channel.by_slot[slot] = place;
}

void keep_end(struct place *place)
{
	if (place->slot == NO_SLOT)
		return;
	channel.table->entries[place->slot].ended = 1;
	vault_forget(&channel.vault, place->slot);
}

void keep_release(struct place *place)
{
	if (place->slot == NO_SLOT)
		return;
	channel.table->entries[place->slot] = (struct keep_entry){.number = 0};
	channel.by_slot[place->slot] = NULL;
	channel.free_slots[channel.n_free++] = place->slot;
	place->slot = NO_SLOT;
}
