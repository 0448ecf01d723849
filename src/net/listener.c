#include "net/listener.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 16384,  /* the system takes as many as it wants; a client that finds no room tries again a second later */
    ACCEPTS_MAX = 64, /* a turn, so that those who are connected are served too */
    DESCRIPTOR_RESERVE = 64,
    DESCRIPTORS_WANTED = 16384,
    DESCRIPTORS_MAX = 131072,
};

/* Shells and services give a program 1,024 of them at first, and let it take more. Some give a thousand million: then
 * libwebsockets makes its tables for 2,560 and counts on numbers below that. It looks through all of a table whenever a
 * connection ends, so a large one is not for free either. */
void listener_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    const rlim_t wanted = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
    if (limit.rlim_cur < wanted)
        limit.rlim_cur = wanted;
    if (limit.rlim_cur > DESCRIPTORS_MAX)
        limit.rlim_cur = DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what cannot be had is not needed to go on */
}

struct address {
    char host[256], port[6];
};

static err split_address(const char *text, struct address *address, struct diag *diag)
{
    const char *colon = strrchr(text, ':');
    size_t host_size = colon != NULL ? (size_t)(colon - text) : 0;
    const char *host = text;
    const size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;
    if (host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']') {
        host++;
        host_size -= 2;
    }
    unsigned port = 0;
    for (size_t idx = 0; idx < digits && idx < 6; idx++)
        port = port * 10 + (unsigned)(colon[1 + idx] - '0');
    if (digits == 0 || digits >= sizeof address->port || colon[1 + digits] != '\0' || port > UINT16_MAX ||
        host_size >= sizeof address->host)
        return diag_set(diag, ERR_BAD_USAGE, "the address to listen at, `%.300s`, is not of the form HOST:PORT", text);
    memcpy(address->host, host, host_size);
    address->host[host_size] = '\0';
    memcpy(address->port, colon + 1, digits + 1);
    return OK;
}

static err bind_one(const struct addrinfo *info, const char *text, int *out, struct diag *diag)
{
    const int one = 1;
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return diag_set(diag, ERR_BAD_USAGE, "cannot listen at %s: %s", text, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* connections have it from here */
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return OK;
    }
    const int error = errno;
    close(fd);
    if (error == EADDRINUSE)
        return diag_set(diag, ERR_IN_USE, "cannot listen at %s: another program listens there already", text);
    return diag_set(diag, error == EACCES ? ERR_FORBIDDEN : ERR_BAD_USAGE, "cannot listen at %s: %s", text,
                    strerror(error));
}

static err bind_any(const char *text, int *fd, struct diag *diag)
{
    struct address address;
    TRY(split_address(text, &address, diag));
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *infos;
    const int error = getaddrinfo(address.host[0] != '\0' ? address.host : NULL, address.port, &hints, &infos);
    if (error != 0)
        return diag_set(diag, ERR_BAD_USAGE, "cannot listen at %s: %s", text, gai_strerror(error));
    err code = ERR_BAD_USAGE;
    for (const struct addrinfo *info = infos; info != NULL && code != OK; info = info->ai_next)
        code = bind_one(info, text, fd, diag);
    freeaddrinfo(infos);
    return code;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size = sizeof address;
    check(getsockname(fd, &address.any, &size) == 0);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static int descriptor_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    const int all = (int)limit.rlim_cur;
    return all - (all / 4 < DESCRIPTOR_RESERVE ? all / 4 : DESCRIPTOR_RESERVE);
}

err listener_open(struct listener *listener, struct lws_vhost *vhost, const char *protocol, const char *address,
                  struct diag *diag)
{
    int fd;
    TRY(bind_any(address, &fd, diag));
    listener->vhost = vhost;
    listener->descriptor_max = descriptor_max();
    listener->port = port_of(fd);
    const lws_sock_file_fd_type descriptor = { .filefd = fd };
    listener->wsi = lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor, protocol, NULL);
    check(listener->wsi != NULL);
    return OK;
}

static void make_wait(struct listener *listener, const char *why)
{
    log_warn("a connection has to wait: %s", why);
    listener->is_paused = true;
    lws_rx_flow_control(listener->wsi, 0);
}

/* The system gives the lowest number that is free: so one that is asked for says what a connection would get. */
static bool is_reserve_reached(const struct listener *listener, int listening)
{
    const int lowest = fcntl(listening, F_DUPFD_CLOEXEC, 0);
    if (lowest >= 0)
        close(lowest);
    return lowest < 0 || lowest >= listener->descriptor_max;
}

void listener_accept(struct listener *listener)
{
    const int listening = (int)lws_get_socket_fd(listener->wsi);
    for (int count = 0; count < ACCEPTS_MAX; count++) {
        if (is_reserve_reached(listener, listening)) {
            make_wait(listener, "this process has as many open files as it may have, less a reserve");
            return;
        }
        const int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                make_wait(listener, strerror(errno));
            return;
        }
        if (lws_adopt_socket_vhost(listener->vhost, fd) == NULL)
            log_warn("a connection was turned away: there are as many as this process may have");
    }
}

void listener_resume(struct listener *listener)
{
    if (!listener->is_paused)
        return;
    listener->is_paused = false;
    lws_rx_flow_control(listener->wsi, 1);
}
