#include "cli/offline.h"

#include "base/clock.h"
#include "engine/as_of.h"

static err read_question(const char *as_of, const char *text, struct as_of_question *question, struct diag *diag)
{
    bytes when;
    *question = (struct as_of_question){ .sql = bytes_of_text(text),
                                         .moment = MOMENT_NOW,
                                         .start_us = clock_monotonic_us() };
    const bool has_clause = as_of_cut(&question->sql, &when);
    if (has_clause && as_of != NULL)
        return diag_set(diag, ERR_BAD_USAGE, "the moment is said twice: by AS OF and by --as-of");
    if (as_of != NULL)
        return as_of_parse(bytes_of_text(as_of), &question->moment, diag);
    return has_clause ? as_of_parse(when, &question->moment, diag) : OK;
}

err offline_ask(struct archive *archive, const char *as_of, const char *text, struct buf *answer, struct diag *diag)
{
    struct as_of_question question;
    struct history *history;
    int64_t duration_us;
    TRY(read_question(as_of, text, &question, diag));
    TRY(archive_open(archive, &history, diag));
    struct images *images = images_new();
    const err code = as_of_answer(images, history, &question, answer, &duration_us, diag);
    images_free(images);
    history_close(history);
    return code;
}
