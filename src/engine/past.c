#include "engine/past.h"

#include "base/clock.h"
#include "engine/as_of.h"
#include "engine/aside.h"
#include "engine/requests.h"

struct past_job {
    struct aside_job head;
    struct as_of_question question; /* its text is the request's */
};

static err work(struct aside *aside, struct aside_job *head, struct history *history, struct diag *diag)
{
    struct past_job *job = container_of(head, struct past_job, head);
    return as_of_answer(aside_images(aside), history, &job->question, &head->request->answer,
                        &head->request->duration_us, diag);
}

static void finish(struct engine *engine, struct aside_job *head)
{
    struct request *request = head->request;
    if (head->code == OK)
        request_set_json(request);
    else
        request_refuse(request, &head->diag);
    request_reply(engine, request);
    memory_free(container_of(head, struct past_job, head));
}

static err begin(struct engine *engine, struct request *request, bytes sql, bytes when, struct diag *diag)
{
    struct moment moment;
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0)
        return diag_set(diag, ERR_FORBIDDEN, "only the database's owner may ask about the past");
    TRY(as_of_parse(when, &moment, diag));
    struct past_job *job = memory_new(sizeof *job);
    job->head = (struct aside_job){ .request = request, .work = work, .finish = finish };
    job->question = (struct as_of_question){ sql, moment, request->who, &engine->identity, clock_monotonic_us() };
    const err code = aside_begin(engine->aside, &job->head, diag);
    if (code != OK)
        memory_free(job);
    return code;
}

void past_ask(struct engine *engine, struct request *request, bytes sql, bytes when)
{
    struct diag diag;
    if (begin(engine, request, sql, when, &diag) == OK)
        return;
    request_refuse(request, &diag);
    request_reply(engine, request);
}
