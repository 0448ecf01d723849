#include "engine/moment.h"

#include "sats/ident.h"

bool offset_parse(bytes text, uint64_t *offset)
{
    *offset = 0;
    for (size_t idx = 0; idx < text.size; idx++) {
        const uint64_t digit = (uint64_t)(text.at[idx] - '0');
        if (text.at[idx] < '0' || text.at[idx] > '9' || *offset > (UINT64_MAX - digit) / 10)
            return false;
        *offset = *offset * 10 + digit;
    }
    return text.size > 0;
}

err moment_parse(bytes text, struct moment *moment, struct diag *diag)
{
    const bytes shown = bytes_of(text.at, text.size < 80 ? text.size : 80);
    *moment = (struct moment){ 0 };
    if (offset_parse(text, &moment->offset))
        return OK;
    moment->is_time = true;
    if (timestamp_parse(text, &moment->time_us))
        return OK;
    return diag_set(diag, ERR_BAD_USAGE, "%.*s is neither an offset nor a time like 2026-11-20T08:15:30Z",
                    BYTES_FORMAT(shown));
}
