/* Making and mapping the table; see table.h. */
#include "converse/table.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

static uint64_t round_to_page(uint64_t size)
{
	return (size + SLOT_PAGE - 1) / SLOT_PAGE * SLOT_PAGE;
}

static struct table_header layout(uint32_t capacity)
{
	struct table_header header = {
		.magic = TABLE_MAGIC,
		.version = TABLE_VERSION,
		.capacity = capacity,
		.head_size = sizeof(struct slot_head),
		.body_size = sizeof(struct slot_body),
		.ring_offset = SLOT_PAGE,
		.ring_size = TABLE_RING_SIZE,
	};

	header.heads_offset = header.ring_offset + header.ring_size;
	header.bodies_offset =
		header.heads_offset + round_to_page(capacity * sizeof(struct slot_head));
	header.size = header.bodies_offset + capacity * sizeof(struct slot_body);
	atomic_init(&header.next_number, 1);
	return header;
}

int table_init(struct table *ret_table, uint32_t capacity)
{
	struct table_header header;
	auto_close int fd = -1;
	char *map;

	if (capacity == 0 || capacity > TABLE_CAPACITY_MAX)
		return -EINVAL;
	header = layout(capacity);
	fd = memfd_create("marcel-table", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)header.size) < 0)
		return -errno;
	map = mmap(NULL, header.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	/* A core file of all buffers would be huge; whoever debugs wants the stacks. */
	(void)madvise(map, header.size, MADV_DONTDUMP);
	*(struct table_header *)(void *)map = header;
	*ret_table = (struct table){
		.fd = take_fd(&fd),
		.header = (struct table_header *)(void *)map,
		.heads = (struct slot_head *)(void *)(map + header.heads_offset),
		.bodies = (struct slot_body *)(void *)(map + header.bodies_offset),
		.ring = map + header.ring_offset,
	};
	return 0;
}

void table_done(struct table *table)
{
	if (table->header != NULL)
		(void)munmap(table->header, table->header->size);
	close_fd(&table->fd);
	*table = (struct table){.fd = -1};
}

void table_release_range(void *from, size_t size)
{
	(void)madvise(from, size, MADV_REMOVE);
}

void table_release_body(struct table *table, uint32_t index)
{
	table_release_range(&table->bodies[index], sizeof(struct slot_body));
}
