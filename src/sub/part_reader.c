#include "sub/part_reader.h"

struct reader *part_reader_bytes(struct part_reader *reader)
{
    const bool is_between = reader_left(&reader->bytes) == 0 && reader->next < reader->count;
    if (is_between && reader->parts[reader->next].shared == NULL)
        reader->bytes = reader_of(reader->parts[reader->next++].inline_bytes);
    return &reader->bytes;
}

uint32_t part_reader_take_shared(struct part_reader *reader)
{
    check(reader_left(&reader->bytes) == 0 && reader->next < reader->count);
    check(reader->parts[reader->next].shared != NULL);
    return reader->next++;
}

bool part_reader_is_done(const struct part_reader *reader)
{
    return !reader->bytes.failed && reader_left(&reader->bytes) == 0 && reader->next == reader->count;
}
