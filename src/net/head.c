#include "net/head.h"

#include <strings.h>

/* In the order in which lws_http_get_uri_and_method() counts is libwebsockets' own business: ask for each. */
static const struct {
    enum lws_token_indexes token;
    enum method method;
} methods[] = {
    { WSI_TOKEN_GET_URI, METHOD_GET },         { WSI_TOKEN_POST_URI, METHOD_POST },
    { WSI_TOKEN_OPTIONS_URI, METHOD_OPTIONS }, { WSI_TOKEN_HEAD_URI, METHOD_HEAD },
    { WSI_TOKEN_PUT_URI, METHOD_PUT },         { WSI_TOKEN_DELETE_URI, METHOD_DELETE },
    { WSI_TOKEN_PATCH_URI, METHOD_PATCH },
};

enum method head_method(struct lws *wsi, bytes *path)
{
    char *at = NULL;
    int size = 0;
    *path = bytes_of("", 0);
    if (lws_http_get_uri_and_method(wsi, &at, &size) < 0 || at == NULL)
        return METHOD_OTHER;
    *path = bytes_of(at, (size_t)size);
    for (size_t idx = 0; idx < COUNTOF(methods); idx++)
        if (lws_hdr_total_length(wsi, methods[idx].token) > 0)
            return methods[idx].method;
    return METHOD_OTHER;
}

struct path head_path(bytes path)
{
    struct path parts = { .count = 0 };
    size_t start = path.size > 0 && path.at[0] == '/';
    for (size_t idx = start; idx <= path.size; idx++) {
        if (idx < path.size && path.at[idx] != '/')
            continue;
        if (parts.count == HEAD_SEGMENTS_MAX) {
            parts.count++;
            break;
        }
        parts.segments[parts.count++] = bytes_of(path.at + start, idx - start);
        start = idx + 1;
    }
    return parts;
}

bool head_has(struct lws *wsi, enum lws_token_indexes header)
{
    return lws_hdr_total_length(wsi, header) > 0;
}

err head_value(struct lws *wsi, enum lws_token_indexes header, char *value, size_t capacity, size_t *size)
{
    const int length = lws_hdr_total_length(wsi, header);
    if (length <= 0)
        return ERR_NOT_FOUND;
    if (lws_hdr_copy(wsi, value, (int)capacity, header) < 0)
        return ERR_TOO_LARGE;
    *size = strlen(value);
    return OK;
}

/* The parameters arrive as fragments "name=value", already decoded. */
err head_query(struct lws *wsi, const char *name, char *value, size_t capacity, size_t *size)
{
    char fragment[HEAD_VALUE_MAX];
    const size_t name_size = strlen(name);
    const int total = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    for (int idx = 0, seen = 0; seen < total; idx++) {
        const int length = lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, idx);
        if (length <= 0)
            break;
        seen += length;
        if (lws_hdr_copy_fragment(wsi, fragment, sizeof fragment, WSI_TOKEN_HTTP_URI_ARGS, idx) < 0)
            continue;
        if (strncmp(fragment, name, name_size) != 0 || fragment[name_size] != '=')
            continue;
        const size_t value_size = strlen(fragment + name_size + 1);
        if (value_size >= capacity)
            return ERR_TOO_LARGE;
        memcpy(value, fragment + name_size + 1, value_size + 1);
        *size = value_size;
        return OK;
    }
    return ERR_NOT_FOUND;
}

err head_query_bool(struct lws *wsi, const char *name, bool *value, struct diag *diag)
{
    char text[8] = "";
    size_t size;
    const err code = head_query(wsi, name, text, sizeof text, &size);
    if (code == ERR_NOT_FOUND)
        return OK;
    *value = strcmp(text, "true") == 0;
    if (code == OK && (*value || strcmp(text, "false") == 0))
        return OK;
    return diag_set(diag, ERR_BAD_REQUEST, "the query parameter `%s` is true or false", name);
}

err head_query_number(struct lws *wsi, const char *name, int64_t *value, struct diag *diag)
{
    char text[16] = "";
    size_t size = 0;
    const err code = head_query(wsi, name, text, sizeof text, &size);
    if (code == ERR_NOT_FOUND)
        return OK;
    int64_t number = 0;
    bool good = code == OK && size > 0 && size <= 10;
    for (size_t idx = 0; good && idx < size; idx++) {
        good = text[idx] >= '0' && text[idx] <= '9';
        number = number * 10 + (text[idx] - '0');
    }
    if (!good || number > UINT32_MAX)
        return diag_set(diag, ERR_BAD_REQUEST, "the query parameter `%s` is a whole number up to 4294967295", name);
    *value = number;
    return OK;
}

bool head_list_has(const char *list, const char *word)
{
    const size_t word_size = strlen(word);
    while (*list != '\0') {
        list += strspn(list, ", \t");
        const size_t size = strcspn(list, ", \t");
        if (size == word_size && strncasecmp(list, word, size) == 0)
            return true;
        list += size;
    }
    return false;
}
