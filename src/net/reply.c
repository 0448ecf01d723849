#include "net/reply.h"

#include "net/caller.h"

#include <inttypes.h>

const char reply_json[] = "application/json";
const char reply_text[] = "text/plain; charset=utf-8";

struct reply reply_plain(int status, const char *content_type, bytes body)
{
    return (struct reply){ .status = status, .content_type = content_type, .body = body, .duration_us = -1 };
}

struct reply reply_error(int status, const char *text)
{
    return reply_plain(status, reply_text, bytes_of_text(text));
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 530: return "The Module Failed";
    default: return "Unnamed";
    }
}

void reply_put_caller(struct buf *out, const identity *who, bytes token)
{
    buf_put_text(out, "spacetime-identity: ");
    identity_print(out, who);
    buf_put_text(out, "\r\nspacetime-identity-token: ");
    buf_put_bytes(out, token);
    buf_put_text(out, "\r\n");
}

static void put_headers(struct buf *out, const struct reply *reply)
{
    buf_put_format(out, "HTTP/1.1 %d %s\r\naccess-control-allow-origin: *\r\n", reply->status,
                   reason_of(reply->status));
    if (reply->allow_headers)
        buf_put_text(out, "access-control-allow-methods: *\r\n"
                          "access-control-allow-headers: authorization, accept, content-type\r\n");
    if (reply->content_type != NULL)
        buf_put_format(out, "content-type: %s\r\n", reply->content_type);
    if (reply->caller != NULL)
        reply_put_caller(out, &reply->caller->who, buf_bytes(&reply->caller->token));
    if (reply->duration_us >= 0)
        buf_put_format(out, "spacetime-execution-duration-micros: %" PRId64 "\r\n", reply->duration_us);
    if (reply->status == 426)
        buf_put_text(out, "upgrade: websocket\r\n");
    if (reply->closes)
        buf_put_text(out, "connection: close\r\n");
}

void reply_put(struct buf *out, const struct reply *reply, enum reply_body body)
{
    put_headers(out, reply);
    if (body == REPLY_CHUNKED) {
        buf_put_text(out, "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
        reply_put_chunk(out, reply->body);
        return;
    }
    if (reply->status != 204)
        buf_put_format(out, "content-length: %" PRIu64 "\r\n", reply->body.size + reply->rest_size);
    buf_put_text(out, "\r\n");
    if (!reply->head_only)
        buf_put_bytes(out, reply->body);
}

void reply_put_chunk(struct buf *out, bytes chunk)
{
    if (chunk.size == 0)
        return;
    buf_put_format(out, "%zx\r\n", chunk.size);
    buf_put_bytes(out, chunk);
    buf_put_text(out, "\r\n");
}

void reply_put_last_chunk(struct buf *out)
{
    buf_put_text(out, "0\r\n\r\n");
}
