/* machine — time and memory, of servers and of the generator itself. */
#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

struct usage {
    int parent;
    unsigned long ticks; /* user and system time of all threads, and of children that have ended */
};

/* False when there is no such process. */
static bool read_usage(int pid, struct usage *usage)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *fields = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long user, kernel, ended_user, ended_kernel;
    if (fields == NULL || sscanf(fields + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &usage->parent,
                                 &user, &kernel, &ended_user, &ended_kernel) != 5)
        return false;
    usage->ticks = user + kernel + ended_user + ended_kernel;
    return true;
}

static unsigned long children_ticks(int parent)
{
    unsigned long ticks = 0;
    DIR *processes = opendir("/proc");
    for (const struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        struct usage usage;
        const int pid = atoi(entry->d_name);
        if (pid > 0 && read_usage(pid, &usage) && usage.parent == parent)
            ticks += usage.ticks;
    }
    if (processes != NULL)
        closedir(processes);
    return ticks;
}

double process_cpu_seconds(int pid)
{
    struct usage usage;
    if (pid == 0)
        return 0;
    if (!read_usage(pid, &usage))
        die("the server (pid %d) is gone", pid);
    return (double)(usage.ticks + children_ticks(pid)) / (double)sysconf(_SC_CLK_TCK);
}

double own_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

uint64_t process_memory_bytes(int pid)
{
    char path[64], line[256];
    unsigned long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die("the server (pid %d) is gone", pid);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "RssAnon: %lu kB", &kilobytes) != 1)
        ;
    fclose(file);
    return (uint64_t)kilobytes * 1024;
}

void allow_many_files(uint32_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    if (limit.rlim_cur < count || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("%u open files are needed and %lu allowed; raise the limit with `ulimit -n`", count,
            (unsigned long)limit.rlim_max);
}
