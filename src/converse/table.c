/* Making and mapping the table; see table.h. */
#include "converse/table.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TABLE_PAGE 4096

static uint64_t round_to_page(uint64_t size)
{
	return (size + TABLE_PAGE - 1) / TABLE_PAGE * TABLE_PAGE;
}

/* No field says it: where a table keeps what was said last, that follows the far parts. */
static uint64_t past_offset(const struct table_header *header)
{
	return header->far_offset + header->capacity * header->far_size;
}

static struct table_header layout(uint32_t capacity)
{
	struct table_header header = {
		.magic = TABLE_MAGIC,
		.version = TABLE_VERSION,
		.header_size = sizeof(struct table_header),
		.capacity = capacity,
		.head_size = sizeof(struct slot_head),
		.near_size = sizeof(struct slot_near),
		.states_size = sizeof(struct slot_states),
		.far_size = sizeof(struct slot_far),
		.ring_offset = TABLE_PAGE,
		.ring_size = TABLE_RING_SIZE,
	};

	header.heads_offset = header.ring_offset + header.ring_size;
	header.near_offset =
		header.heads_offset + round_to_page(capacity * sizeof(struct slot_head));
	header.states_offset = header.near_offset + capacity * sizeof(struct slot_near);
	header.far_offset = header.states_offset + capacity * sizeof(struct slot_states);
	header.size = past_offset(&header) + capacity * sizeof(struct marcel_past);
	atomic_init(&header.next_number, 1);
	return header;
}

/* Maps SIZE bytes of *FD and takes it over. */
static int map_table(struct table *ret_table, int *fd, uint64_t size)
{
	struct table_header *header;
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	/* A core file of all buffers would be huge; whoever debugs wants the stacks. */
	(void)madvise(map, size, MADV_DONTDUMP);
	header = (struct table_header *)(void *)map;
	*ret_table = (struct table){
		.fd = take_fd(fd),
		.header = header,
		.size = size,
	};
	return 0;
}

/* Finds the parts of a mapped table whose header is filled in. */
static void find_parts(struct table *table)
{
	char *map = (char *)table->header;

	table->heads = (struct slot_head *)(void *)(map + table->header->heads_offset);
	table->near = (struct slot_near *)(void *)(map + table->header->near_offset);
	table->states = (struct slot_states *)(void *)(map + table->header->states_offset);
	table->far = (struct slot_far *)(void *)(map + table->header->far_offset);
	table->past = (struct marcel_past *)(void *)(map + past_offset(table->header));
	table->ring = map + table->header->ring_offset;
}

int table_init(struct table *ret_table, uint32_t capacity)
{
	struct table_header header;
	auto_close int fd = -1;
	int r;

	if (capacity == 0 || capacity > TABLE_CAPACITY_MAX)
		return -EINVAL;
	header = layout(capacity);
	fd = memfd_create("marcel-table", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)header.size) < 0)
		return -errno;
	r = map_table(ret_table, &fd, header.size);
	if (r < 0)
		return r;
	*ret_table->header = header;
	find_parts(ret_table);
	return 0;
}

/* Whether HEADER has its parts where OURS has them. */
static bool has_same_parts(const struct table_header *header, const struct table_header *ours)
{
	return header->magic == ours->magic && header->version == ours->version &&
	       header->header_size == ours->header_size && header->capacity == ours->capacity &&
	       header->head_size == ours->head_size && header->near_size == ours->near_size &&
	       header->states_size == ours->states_size && header->far_size == ours->far_size &&
	       header->ring_offset == ours->ring_offset && header->ring_size == ours->ring_size &&
	       header->heads_offset == ours->heads_offset &&
	       header->near_offset == ours->near_offset &&
	       header->states_offset == ours->states_offset &&
	       header->far_offset == ours->far_offset;
}

bool table_header_fits(const struct table_header *header, uint32_t capacity, uint64_t size)
{
	struct table_header ours = layout(capacity);

	return has_same_parts(header, &ours) && header->size == ours.size && size == ours.size;
}

bool table_header_fits_without_past(const struct table_header *header, uint32_t capacity,
				    uint64_t size)
{
	struct table_header ours = layout(capacity);

	return has_same_parts(header, &ours) && header->size == past_offset(&ours) &&
	       size == past_offset(&ours);
}

int table_adopt(struct table *ret_table, int fd)
{
	auto_close int owned = fd;
	struct table_header header;
	ssize_t n = pread(owned, &header, sizeof(header), 0);
	int r;

	struct stat st;

	if (n != (ssize_t)sizeof(header))
		return n < 0 ? -errno : -EINVAL;
	if (fstat(owned, &st) < 0)
		return -errno;
	if (!table_header_fits(&header, header.capacity, (uint64_t)st.st_size))
		return -EINVAL;
	r = map_table(ret_table, &owned, header.size);
	if (r == 0)
		find_parts(ret_table);
	return r;
}

void table_done(struct table *table)
{
	if (table->header != NULL)
		(void)munmap(table->header, table->size);
	close_fd(&table->fd);
	*table = (struct table){.fd = -1};
}

void table_release_range(void *from, size_t size)
{
	(void)madvise(from, size, MADV_REMOVE);
}

void table_release_slot(struct table *table, uint32_t index)
{
	table_release_range(&table->near[index], sizeof(*table->near));
	table_release_range(&table->states[index], sizeof(*table->states));
	table_release_range(&table->far[index], sizeof(*table->far));
	table_release_range(&table->past[index], sizeof(*table->past));
}

struct slot table_slot(const struct table *table, uint32_t index)
{
	return (struct slot){
		.head = &table->heads[index],
		.near = &table->near[index],
		.states = &table->states[index],
		.far = &table->far[index],
		.past = &table->past[index],
	};
}
