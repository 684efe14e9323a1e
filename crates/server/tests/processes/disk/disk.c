/* Preloaded into a gateway: the disk under its SQLite files and its media store.
 *
 * Everything that is written to the SQLite files, and every completed sync, is also appended to the file
 * $DISK_LOG, from which the test computes what a power failure would have left. Of the media store it holds
 * which names were made, written, renamed, deleted and synced, files and folders alike. The file $DISK_SPACE
 * holds a number (64 bits): how many more writes to the SQLite files find space; negative means all do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 65536 };
/* The kinds of entries. */
enum { WRITE = 'w', TRUNCATE = 't', SYNC = 's', DELETE = 'd', MAKE = 'm', RENAME = 'r' };
/* The file of entries of the media store, whose data is a path in the data directory; two, with a zero between, of
 * a rename. */
enum { MEDIA = 4 };

static const char *const NAMES[] = { "gerbang.sqlite", "gerbang.sqlite-wal", "gerbang.sqlite-journal" };
static const char DATA_DIR[] = "/data", MEDIA_DIR[] = "/data/media";

/* Which of NAMES a descriptor is, plus one. */
static unsigned char file_of[FDS];
/* Which path of the media store, or the directory that it is in, a descriptor is. */
static char *media_of[FDS];
static int log_fd = -1;
static volatile int64_t *space;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void start(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    real_rename = dlsym(RTLD_NEXT, "rename");
    const char *log = getenv("DISK_LOG"), *room = getenv("DISK_SPACE");
    if (log) log_fd = real_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int fd = room ? real_open(room, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) space = page;
        real_close(fd);
    }
}

static unsigned char number_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (!strcmp(name, NAMES[i])) return i + 1;
    return 0;
}

/* A path of the media store in the data directory, empty for that itself; NULL of any other. */
static const char *inside_media(const char *path) {
    const char *found = strstr(path, MEDIA_DIR), *end = path + strlen(path);
    char after = found ? found[strlen(MEDIA_DIR)] : 0;
    if (found && (after == 0 || after == '/')) return found + sizeof DATA_DIR;
    size_t length = strlen(DATA_DIR);
    return end - path >= (long)length && !strcmp(end - length, DATA_DIR) ? end : NULL;
}

static unsigned char tracked(int fd) {
    return fd >= 0 && fd < FDS ? file_of[fd] : 0;
}

static const char *tracked_media(int fd) {
    return fd >= 0 && fd < FDS ? media_of[fd] : NULL;
}

static void note(char kind, unsigned char file, uint64_t offset, const void *data, uint32_t length) {
    if (log_fd < 0) return;
    struct { char kind; unsigned char file; char pad[2]; uint32_t length; uint64_t offset; } head;
    memset(&head, 0, sizeof head);
    head.kind = kind, head.file = file, head.length = length, head.offset = offset;
    struct iovec parts[] = { { &head, sizeof head }, { (void *)data, length } };
    if (writev(log_fd, parts, 2) != (ssize_t)(sizeof head + length)) abort();
}

static void note_media(char kind, const char *path) {
    note(kind, MEDIA, 0, path, strlen(path));
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *media = inside_media(path);
    int is_new = media && (flags & O_CREAT) && access(path, F_OK) != 0;
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        file_of[fd] = number_of(path);
        free(media_of[fd]);
        media_of[fd] = media ? strdup(media) : NULL;
    }
    if (fd >= 0 && is_new) note_media(MAKE, media);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) {
        file_of[fd] = 0;
        free(media_of[fd]);
        media_of[fd] = NULL;
    }
    return real_close(fd);
}

ssize_t write(int fd, const void *data, size_t length) {
    ssize_t written = real_write(fd, data, length);
    const char *media = tracked_media(fd);
    if (written > 0 && media) note_media(WRITE, media);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    unsigned char file = tracked(fd);
    if (!file) return real_pwrite(fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t written = -1;
    if (space && *space == 0) {
        errno = ENOSPC;
    } else {
        if (space && *space > 0) --*space;
        written = real_pwrite(fd, data, length, offset);
        int error = errno;
        if (written > 0) note(WRITE, file, offset, data, written);
        errno = error;
    }
    pthread_mutex_unlock(&lock);
    return written;
}
ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return pwrite(fd, data, length, offset); }

int ftruncate(int fd, off_t length) {
    unsigned char file = tracked(fd);
    pthread_mutex_lock(&lock);
    int answer = real_ftruncate(fd, length);
    if (file && answer == 0) note(TRUNCATE, file, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return answer;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

/* Nothing is written meanwhile, so that the sync holds all entries before its own. */
static int synced(int fd, int (*sync)(int)) {
    unsigned char file = tracked(fd);
    const char *media = tracked_media(fd);
    if (!file && !media) return sync(fd);
    pthread_mutex_lock(&lock);
    int answer = sync(fd);
    if (answer == 0 && file) note(SYNC, file, 0, NULL, 0);
    if (answer == 0 && media) note_media(SYNC, media);
    pthread_mutex_unlock(&lock);
    return answer;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int unlink(const char *path) {
    unsigned char file = number_of(path);
    const char *media = inside_media(path);
    int answer = real_unlink(path);
    if (file && answer == 0) note(DELETE, file, 0, NULL, 0);
    if (media && answer == 0) note_media(DELETE, media);
    return answer;
}

int mkdir(const char *path, mode_t mode) {
    const char *media = inside_media(path);
    if (!media) return real_mkdir(path, mode);
    pthread_mutex_lock(&lock);
    int answer = real_mkdir(path, mode);
    if (answer == 0) note_media(MAKE, media);
    pthread_mutex_unlock(&lock);
    return answer;
}

int rename(const char *from, const char *to) {
    const char *before = inside_media(from), *after = inside_media(to);
    if (!before || !after) return real_rename(from, to);
    pthread_mutex_lock(&lock);
    int answer = real_rename(from, to);
    if (answer == 0) {
        char both[2 * PATH_MAX];
        size_t first = strlen(before) + 1, second = strlen(after);
        memcpy(both, before, first);
        memcpy(both + first, after, second);
        note(RENAME, MEDIA, 0, both, first + second);
    }
    pthread_mutex_unlock(&lock);
    return answer;
}
