/* Preloaded into a process: counts its writes, and kills it, refuses, or records at one of them.

   Built and armed by bench/crash_child.py. Counted are the calls that change a file or a folder, or
   send to a socket: write, pwrite, fsync, fdatasync, ftruncate, rename, unlink, link, open that
   creates, send, sendto. Standard streams are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum mode { OFF, KILL, FAIL_ONCE, FAIL_ON, RECORD };
static volatile int mode = OFF, refused_with = 0, log_fd = -1;
static volatile long count = 0, at = 0;
static volatile long ahead_s = 0;
static int (*real_clock)(clockid_t, struct timespec *);

void crash_arm(int how, long moment, int error, int record_fd) {
    refused_with = error, log_fd = record_fd, count = 0, at = moment, mode = how;
}
void crash_ahead(long seconds) { ahead_s = seconds; }
long crash_count(void) { return count; }

/* Whether this call is refused; the process ends here if this is its moment. */
static int refused(int fd, int is_file) {
    if (fd >= 0 && fd <= 2) return 0;
    if (mode == OFF) return 0;
    long n = __sync_add_and_fetch(&count, 1);
    if (mode == KILL && n == at) { syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); }
    if (!is_file) return 0;
    if ((mode == FAIL_ONCE && n == at) || (mode == FAIL_ON && n >= at)) { errno = refused_with; return 1; }
    return 0;
}

static int is_regular(int fd, uint64_t *inode) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return 0;
    *inode = st.st_ino;
    return 1;
}

/* One entry: kind, inode, offset, lengths of two texts, the texts. */
static void record(char kind, uint64_t inode, int64_t offset, const void *a, uint32_t a_len, const void *b, uint32_t b_len) {
    if (mode != RECORD || log_fd < 0) return;
    char head[1 + 8 + 8 + 4 + 4];
    head[0] = kind;
    memcpy(head + 1, &inode, 8), memcpy(head + 9, &offset, 8), memcpy(head + 17, &a_len, 4), memcpy(head + 21, &b_len, 4);
    struct iovec parts[3] = {{head, sizeof head}, {(void *)a, a_len}, {(void *)b, b_len}};
    syscall(SYS_writev, log_fd, parts, 3);
}
static void record_data(int fd, int64_t offset, const void *data, long done) {
    uint64_t inode;
    if (mode == RECORD && done > 0 && fd > 2 && fd != log_fd && is_regular(fd, &inode))
        record('w', inode, offset, data, (uint32_t)done, "", 0);
}
static void record_names(char kind, const char *a, const char *b) {
    if (mode == RECORD) record(kind, 0, 0, a, strlen(a), b, strlen(b));
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write); uint64_t inode;
    int is_file = fd > 2 && is_regular(fd, &inode);
    if (refused(fd, is_file)) return -1;
    int64_t offset = mode == RECORD && is_file ? lseek(fd, 0, SEEK_CUR) : 0;
    if (mode == RECORD && is_file && (fcntl(fd, F_GETFL) & O_APPEND)) offset = lseek(fd, 0, SEEK_END);
    ssize_t done = real(fd, data, size);
    record_data(fd, offset, data, done);
    return done;
}
#define PWRITE(name, offset_type) ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
    REAL(name); if (refused(fd, 1)) return -1; \
    ssize_t done = real(fd, data, size, offset); record_data(fd, offset, data, done); return done; }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name) int name(int fd) { \
    REAL(name); uint64_t inode; if (refused(fd, 1)) return -1; \
    int code = real(fd); if (code == 0 && mode == RECORD && is_regular(fd, &inode)) record('s', inode, 0, "", 0, "", 0); return code; }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset_type) int name(int fd, offset_type size) { \
    REAL(name); uint64_t inode; if (refused(fd, 1)) return -1; \
    int code = real(fd, size); if (code == 0 && mode == RECORD && is_regular(fd, &inode)) record('t', inode, size, "", 0, "", 0); return code; }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    REAL(rename); if (refused(-1, 1)) return -1;
    int code = real(from, to); if (code == 0) record_names('r', from, to); return code;
}
int unlink(const char *name) {
    REAL(unlink); if (refused(-1, 1)) return -1;
    int code = real(name); if (code == 0) record_names('u', name, ""); return code;
}
int link(const char *from, const char *to) {
    REAL(link); if (refused(-1, 1)) return -1;
    int code = real(from, to); if (code == 0) record_names('l', from, to); return code;
}

static int opened(int fd, const char *name, int flags, int was_there) {
    uint64_t inode;
    if (fd >= 0 && mode == RECORD && is_regular(fd, &inode)) {
        if ((flags & O_CREAT) && !was_there) record('c', inode, 0, name, strlen(name), "", 0);
        if ((flags & O_TRUNC) && was_there) record('t', inode, 0, "", 0, "", 0);
    }
    return fd;
}
#define OPEN(called) int called(const char *name, int flags, ...) { \
    REAL(called); mode_t bits = 0; struct stat st; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); bits = va_arg(rest, mode_t); va_end(rest); } \
    int was_there = (flags & O_CREAT) ? stat(name, &st) == 0 : 1; \
    if ((flags & O_CREAT) && !was_there && refused(-1, 1)) return -1; \
    return opened(real(name, flags, bits), name, flags, was_there); }
OPEN(open)
OPEN(open64)

ssize_t send(int fd, const void *data, size_t size, int flags) {
    REAL(send); refused(fd, 0); return real(fd, data, size, flags);
}
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    REAL(sendto); refused(fd, 0); return real(fd, data, size, flags, to, length);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    if (!real_clock) real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real_clock(which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += ahead_s;
    return code;
}
time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
