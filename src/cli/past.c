#include "cli/past.h"

#include "base/clock.h"
#include "engine/sql_answer.h"

static err ask(const struct image *image, const char *question, int64_t start_us, struct buf *answer, struct diag *diag)
{
    const struct query_caller caller = { .is_owner = true };
    struct query *query;
    TRY(query_compile(&query, bytes_of_text(question), image->store.schema, &caller, QUERY_ONCE, diag));
    sql_answer_print(answer, query, &image->store, start_us);
    query_free(query);
    return OK;
}

err past_ask(struct archive *archive, const char *as_of, const char *question, struct buf *answer, struct diag *diag)
{
    const int64_t start_us = clock_monotonic_us();
    struct moment moment;
    struct history *history;
    struct image image;
    TRY(archive_parse_moment(as_of, &moment, diag));
    if (moment.is_time && moment.time_us > clock_wall_us())
        return diag_set(diag, ERR_BAD_USAGE, "%s is still to come", as_of);
    TRY(archive_open(archive, &history, diag));
    image_init(&image);
    err code = history_image_at(history, &moment, &image, diag);
    if (code == OK)
        code = ask(&image, question, start_us, answer, diag);
    image_deinit(&image);
    history_close(history);
    return code;
}
