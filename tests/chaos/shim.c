/*
 * shim.c - loaded before the C library (LD_PRELOAD) to see what a server writes to disk, and to shift its wall clock.
 *
 * SHIM_PREFIX   files whose name begins so are watched
 * SHIM_JOURNAL  every write, truncation and sync of them is appended here, in the order in which they were done
 * SHIM_CLOCK    a file that holds a signed 64-bit number of nanoseconds, added to the wall clock (not the steady one)
 *
 * A record of the journal: steady clock in ns (u64), kind (u8: 1 write, 2 sync, 3 truncate), length of the file's name
 * after the prefix (u8), offset or size (u64), length of data (u32), the name, the data. Little-endian, packed.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 4096
#define NAME 32

static char names[FILES][NAME];
static char watched[FILES];
static int journal = -1;
static const char *prefix;
static volatile int64_t *shift;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct __attribute__((packed)) record {
    uint64_t at;
    uint8_t kind;
    uint8_t name;
    uint64_t offset;
    uint32_t length;
};

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIM_JOURNAL");
    prefix = getenv("SHIM_PREFIX");
    if (path && prefix)
        journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    path = getenv("SHIM_CLOCK");
    if (path) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        void *found = fd < 0 ? MAP_FAILED : mmap(0, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        if (found != MAP_FAILED)
            shift = found;
    }
}

static void note(int kind, int fd, uint64_t offset, const void *data, uint32_t length)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    struct record one = {now.tv_sec * 1000000000ull + now.tv_nsec, kind, strlen(names[fd]), offset, length};
    struct iovec parts[3] = {{&one, sizeof one}, {names[fd], one.name}, {(void *)data, length}};
    if (writev(journal, parts, data ? 3 : 2) < 0)
        abort();
}

static int is_watched(int fd)
{
    return journal >= 0 && fd >= 0 && fd < FILES && watched[fd];
}

static int opened(int fd, const char *path)
{
    if (journal >= 0 && fd >= 0 && fd < FILES) {
        size_t length = strlen(prefix);
        watched[fd] = !strncmp(path, prefix, length) && strlen(path + length) < NAME;
        if (watched[fd])
            strcpy(names[fd], path + length);
    }
    return fd;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                        \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                        \
        va_end(more);                                                                                                  \
        static int (*real)(const char *, int, ...);                                                                    \
        if (!real)                                                                                                     \
            real = dlsym(RTLD_NEXT, #name);                                                                            \
        return opened(real(path, flags, mode), path);                                                                  \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    if (fd >= 0 && fd < FILES)
        watched[fd] = 0;
    return syscall(SYS_close, fd);
}

/* The order of the journal is that of the disk: what is done and its note are one step. */
static ssize_t placed(int fd, const void *data, size_t length, off_t offset)
{
    if (!is_watched(fd))
        return syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, data, length, offset);
    if (done > 0)
        note(1, fd, offset, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return placed(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    return placed(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length)
{
    if (!is_watched(fd))
        return syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&lock);
    off_t offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, data, length);
    if (done > 0)
        note(1, fd, offset, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

static int cut(int fd, off_t size)
{
    if (!is_watched(fd))
        return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_ftruncate, fd, size);
    if (!done)
        note(3, fd, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size)
{
    return cut(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return cut(fd, size);
}

/* What was written before the call is durable after it; what is written meanwhile may not be. */
static int synced(int fd, long number)
{
    if (!is_watched(fd))
        return syscall(number, fd);
    pthread_mutex_lock(&lock);
    int done = syscall(number, fd);
    if (!done)
        note(2, fd, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int done = syscall(SYS_clock_gettime, which, now);
    if (!done && shift && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        int64_t at = now->tv_sec * 1000000000ll + now->tv_nsec + *shift;
        now->tv_sec = at / 1000000000;
        now->tv_nsec = at % 1000000000;
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec fine;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
