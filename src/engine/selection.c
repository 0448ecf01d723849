#include "engine/selection.h"

#include "base/text.h"

enum { DIGITS_MIN = 4 };

static bytes take_word(bytes *left)
{
    while (left->size > 0 && left->at[0] == ' ')
        *left = bytes_of(left->at + 1, left->size - 1);
    size_t size = 0;
    while (size < left->size && left->at[size] != ' ')
        size++;
    const bytes word = bytes_of(left->at, size);
    *left = bytes_of(left->at + size, left->size - size);
    return word;
}

static bytes shown(bytes word)
{
    return bytes_of(word.at, word.size < 80 ? word.size : 80);
}

static bool is_hex(bytes text, size_t digits_max)
{
    for (size_t idx = 0; idx < text.size; idx++)
        if (strchr("0123456789abcdefABCDEF", text.at[idx]) == NULL || text.at[idx] == '\0')
            return false;
    return text.size >= DIGITS_MIN && text.size <= digits_max;
}

static err take_offset(bytes value, uint64_t *offset, struct diag *diag)
{
    if (offset_parse(value, offset))
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST, "an offset is a whole number, not %.*s", BYTES_FORMAT(shown(value)));
}

static err take_time(bytes value, int64_t *time_us, struct diag *diag)
{
    if (timestamp_parse(value, time_us))
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST, "a time is like 2026-11-20T08:15:30Z, not %.*s", BYTES_FORMAT(shown(value)));
}

bytes selection_digits(bytes text)
{
    return text.size >= 2 && memcmp(text.at, "0x", 2) == 0 ? bytes_of(text.at + 2, text.size - 2) : text;
}

static err take_hex(bytes value, bytes *out, size_t digits_max, struct diag *diag)
{
    *out = selection_digits(value);
    if (is_hex(*out, digits_max))
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST, "%.*s is not %d to %zu hex digits", BYTES_FORMAT(shown(value)), DIGITS_MIN,
                    digits_max);
}

static err take_pair(struct selection *selection, bytes word, bytes value, struct diag *diag)
{
    selection->has_begin |= bytes_equal_text(word, "offset") || bytes_equal_text(word, "from") ||
                            bytes_equal_text(word, "since");
    if (bytes_equal_text(word, "offset")) {
        TRY(take_offset(value, &selection->from, diag));
        selection->to = selection->from;
        return OK;
    }
    if (bytes_equal_text(word, "from"))
        return take_offset(value, &selection->from, diag);
    if (bytes_equal_text(word, "to"))
        return take_offset(value, &selection->to, diag);
    if (bytes_equal_text(word, "since"))
        return take_time(value, &selection->since_us, diag);
    if (bytes_equal_text(word, "until"))
        return take_time(value, &selection->until_us, diag);
    if (bytes_equal_text(word, "caller"))
        return take_hex(value, &selection->caller, 2 * sizeof(identity), diag);
    if (bytes_equal_text(word, "connection"))
        return take_hex(value, &selection->connection, 2 * sizeof(connection_id), diag);
    selection->reducer = value;
    if (bytes_equal_text(word, "reducer") && value.size > 0)
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST,
                    "which records: offset, from, to, since, until, caller, connection or reducer, not %.*s",
                    BYTES_FORMAT(shown(word)));
}

void selection_init(struct selection *selection)
{
    *selection = (struct selection){ .to = UINT64_MAX, .since_us = INT64_MIN, .until_us = INT64_MAX };
}

err selection_parse(bytes text, struct selection *selection, struct diag *diag)
{
    selection_init(selection);
    for (bytes word; (word = take_word(&text)).size > 0;)
        TRY(take_pair(selection, word, take_word(&text), diag));
    if (selection->has_begin)
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST, "from where on: offset, from or since is missing");
}

err selection_begin(const struct selection *selection, struct history *history, uint64_t *begin, struct diag *diag)
{
    uint64_t since = 0;
    *begin = selection->from;
    if (selection->since_us != INT64_MIN)
        TRY(history_find_since(history, selection->since_us, &since, diag));
    if (since > *begin)
        *begin = since;
    return OK;
}

/* --- Who --- */

static bool names_caller(const struct selection *selection)
{
    return selection->caller.size > 0 || selection->connection.size > 0;
}

static bool begins_with(const struct buf *hex, bytes digits)
{
    if (digits.size == 0 || digits.size > hex->size)
        return digits.size == 0;
    return strncasecmp((const char *)hex->data, (const char *)digits.at, digits.size) == 0;
}

static bool is_by(const struct selection *selection, const struct caller *caller)
{
    struct buf who = { 0 }, connection = { 0 };
    identity_print(&who, &caller->who);
    connection_id_print(&connection, &caller->connection);
    const bool is = begins_with(&who, selection->caller) && begins_with(&connection, selection->connection);
    buf_deinit(&who);
    buf_deinit(&connection);
    return is;
}

static err refuse_second(const char *what, bytes digits, struct diag *diag)
{
    return diag_set(diag, ERR_BAD_REQUEST, "%.*s begins more than one %s: give more digits", BYTES_FORMAT(digits), what);
}

static err note_found(struct selection *selection, const struct caller *caller, struct diag *diag)
{
    if (!selection->has_found) {
        selection->found_caller = caller->who;
        selection->found_connection = caller->connection;
        selection->has_found = true;
    }
    if (selection->caller.size > 0 && memcmp(&selection->found_caller, &caller->who, sizeof caller->who) != 0)
        return refuse_second("caller", selection->caller, diag);
    if (selection->connection.size > 0 &&
        memcmp(&selection->found_connection, &caller->connection, sizeof caller->connection) != 0)
        return refuse_second("connection", selection->connection, diag);
    return OK;
}

bool selection_matches(const struct selection *selection, const struct history_event *event)
{
    const int64_t time_us = event->record.timestamp_us;
    if (event->offset < selection->from || event->offset > selection->to || time_us < selection->since_us ||
        time_us > selection->until_us)
        return false;
    if (selection->reducer.size > 0 &&
        (event->record.kind != RECORD_CALL || !bytes_equal(history_event_name(event), selection->reducer)))
        return false;
    return !names_caller(selection) || (event->caller != NULL && is_by(selection, event->caller));
}

err selection_holds(struct selection *selection, const struct history_event *event, bool *holds, struct diag *diag)
{
    *holds = selection_matches(selection, event);
    return *holds && names_caller(selection) ? note_found(selection, event->caller, diag) : OK;
}
