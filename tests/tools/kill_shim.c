/* Preloaded, counts the calls of a program that change the file system and stops the program, or lets the call fail,
   at a chosen one:
     KILL_SHIM_AT=N           the process is killed before the Nth call
     KILL_SHIM_FAIL=N         the Nth call fails with KILL_SHIM_ERROR (ENOSPC or EIO); with KILL_SHIM_ON=1 all from then
                              on, as on a disk that stays full
     KILL_SHIM_NO_EXCHANGE=1  renameat2 says that the file system cannot
     KILL_SHIM_SICK=NAME      reading a file or folder of that name fails with KILL_SHIM_ERROR, once it is open;
                              with EACCES in place of that it cannot be opened
     KILL_SHIM_COUNT=FILE     gets the number of calls when the program ends by itself
   Writing to anything but regular files does not count, neither does opening what exists without emptying it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char* name) {
  const char* text = getenv(name);
  return text ? atol(text) : 0;
}

/* Counts a call that changes something; whether it is to fail. */
static int stops(void) {
  const long call = atomic_fetch_add(&calls, 1) + 1;
  if (call == number("KILL_SHIM_AT")) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
  const long first = number("KILL_SHIM_FAIL");
  if (first == 0 || call < first || (call > first && !number("KILL_SHIM_ON"))) return 0;
  const char* error = getenv("KILL_SHIM_ERROR");
  errno = error && !strcmp(error, "EIO") ? EIO : ENOSPC;
  return 1;
}

static int regular(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

__attribute__((destructor)) static void tell(void) {
  const char* path = getenv("KILL_SHIM_COUNT");
  if (!path) return;
  char text[32];
  const int size = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return;
  syscall(SYS_write, fd, text, (size_t)size);
  syscall(SYS_close, fd);
}

static int sick_errno(void) {
  const char* error = getenv("KILL_SHIM_ERROR");
  return error && !strcmp(error, "EACCES") ? EACCES : EIO;
}

static int is_sick(const char* path) {
  const char* name = getenv("KILL_SHIM_SICK");
  if (!name) return 0;
  const char* slash = strrchr(path, '/');
  return !strcmp(slash ? slash + 1 : path, name);
}

static int cannot_open(const char* path) {
  if (sick_errno() != EACCES || !is_sick(path)) return 0;
  errno = EACCES;
  return 1;
}

static int cannot_read(int fd) {
  char link[64], path[4096];
  if (!getenv("KILL_SHIM_SICK") || sick_errno() == EACCES) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  if (!is_sick(path)) return 0;
  errno = EIO;
  return 1;
}

/* A function of the same arguments that is counted if `changes`. */
#define WRAP(result, name, parameters, arguments, changes)               \
  result name parameters {                                               \
    static result(*real) parameters;                                     \
    if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);     \
    if ((changes) && stops()) return -1;                                 \
    return real arguments;                                               \
  }

#define WRAP_OPEN(name, parameters, arguments, known)                    \
  int name parameters {                                                  \
    static int(*real) known;                                             \
    if (!real) real = (int(*) known)dlsym(RTLD_NEXT, #name);             \
    mode_t mode = 0;                                                     \
    if (flags & (O_CREAT | O_TMPFILE)) {                                 \
      va_list rest;                                                      \
      va_start(rest, flags);                                             \
      mode = va_arg(rest, mode_t);                                       \
      va_end(rest);                                                      \
    }                                                                    \
    if (cannot_open(path)) return -1;                                    \
    if ((flags & (O_CREAT | O_TRUNC)) && stops()) return -1;             \
    return real arguments;                                               \
  }

WRAP_OPEN(open, (const char* path, int flags, ...), (path, flags, mode), (const char*, int, ...))
WRAP_OPEN(open64, (const char* path, int flags, ...), (path, flags, mode), (const char*, int, ...))
WRAP_OPEN(openat, (int at, const char* path, int flags, ...), (at, path, flags, mode), (int, const char*, int, ...))
WRAP_OPEN(openat64, (int at, const char* path, int flags, ...), (at, path, flags, mode), (int, const char*, int, ...))

static FILE* open_stream(const char* name, const char* path, const char* mode) {
  FILE* (*real)(const char*, const char*) = (FILE * (*)(const char*, const char*)) dlsym(RTLD_NEXT, name);
  if (strpbrk(mode, "wa+") && stops()) return NULL;
  return real(path, mode);
}
FILE* fopen(const char* path, const char* mode) { return open_stream("fopen", path, mode); }
FILE* fopen64(const char* path, const char* mode) { return open_stream("fopen64", path, mode); }

#define WRAP_READ(result, name, parameters, arguments, failed, condition) \
  result name parameters {                                               \
    static result(*real) parameters;                                     \
    if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);     \
    if (condition) return failed;                                        \
    return real arguments;                                               \
  }

WRAP_READ(ssize_t, read, (int fd, void* bytes, size_t size), (fd, bytes, size), -1, cannot_read(fd))
WRAP_READ(ssize_t, pread, (int fd, void* bytes, size_t size, off_t at), (fd, bytes, size, at), -1, cannot_read(fd))
WRAP_READ(ssize_t, pread64, (int fd, void* bytes, size_t size, off64_t at), (fd, bytes, size, at), -1, cannot_read(fd))
WRAP_READ(void*, mmap, (void* at, size_t size, int protection, int flags, int fd, off_t offset),
          (at, size, protection, flags, fd, offset), (void*)-1, fd >= 0 && cannot_read(fd))
WRAP_READ(void*, mmap64, (void* at, size_t size, int protection, int flags, int fd, off64_t offset),
          (at, size, protection, flags, fd, offset), (void*)-1, fd >= 0 && cannot_read(fd))
WRAP_READ(struct dirent*, readdir, (DIR * folder), (folder), NULL, cannot_read(dirfd(folder)))
WRAP_READ(struct dirent64*, readdir64, (DIR * folder), (folder), NULL, cannot_read(dirfd(folder)))

WRAP(int, creat, (const char* path, mode_t mode), (path, mode), 1)
WRAP(ssize_t, write, (int fd, const void* bytes, size_t size), (fd, bytes, size), regular(fd))
WRAP(ssize_t, writev, (int fd, const struct iovec* parts, int count), (fd, parts, count), regular(fd))
WRAP(ssize_t, pwrite, (int fd, const void* bytes, size_t size, off_t at), (fd, bytes, size, at), 1)
WRAP(ssize_t, pwrite64, (int fd, const void* bytes, size_t size, off64_t at), (fd, bytes, size, at), 1)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), 1)
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), 1)
WRAP(int, truncate, (const char* path, off_t size), (path, size), 1)
WRAP(int, fsync, (int fd), (fd), 1)
WRAP(int, fdatasync, (int fd), (fd), 1)
WRAP(int, rename, (const char* from, const char* to), (from, to), 1)
WRAP(int, renameat, (int a, const char* from, int b, const char* to), (a, from, b, to), 1)
WRAP(int, link, (const char* from, const char* to), (from, to), 1)
WRAP(int, symlink, (const char* from, const char* to), (from, to), 1)
WRAP(int, unlink, (const char* path), (path), 1)
WRAP(int, unlinkat, (int at, const char* path, int flags), (at, path, flags), 1)
WRAP(int, remove, (const char* path), (path), 1)
WRAP(int, mkdir, (const char* path, mode_t mode), (path, mode), 1)
WRAP(int, mkdirat, (int at, const char* path, mode_t mode), (at, path, mode), 1)
WRAP(int, rmdir, (const char* path), (path), 1)
WRAP(int, chmod, (const char* path, mode_t mode), (path, mode), 1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), 1)
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), 1)
WRAP(int, utimensat, (int at, const char* path, const struct timespec times[2], int flags), (at, path, times, flags), 1)
WRAP(int, futimens, (int fd, const struct timespec times[2]), (fd, times), 1)

int renameat2(int a, const char* from, int b, const char* to, unsigned flags) {
  if (number("KILL_SHIM_NO_EXCHANGE")) {
    errno = EINVAL;
    return -1;
  }
  if (stops()) return -1;
  return (int)syscall(SYS_renameat2, a, from, b, to, flags);
}
