/* The head of the one-file ai-memory: it unpacks what stands behind it, once, and becomes the program in there.

   The file is this program, a gzipped ustar archive, and a trailer of 64 bytes: "ai-memory NAME OFFSET", filled up by
   spaces. NAME is the version and a digest of the archive and names the folder in the cache; OFFSET is where the
   archive begins. What is unpacked takes this process over, so callers and systemd have the right process id. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define TRAILER_BYTES 64
#define BLOCK_BYTES 512     /* of a ustar archive: heads and contents are filled up to whole ones */

static char *troubles = ""; /* what was wrong with each place, for the message */

static void fail(const char *what) {
    fprintf(stderr, "ai-memory: %s%s\n", what, troubles);
    exit(1);
}

/* A new string, never given back: this program ends, or becomes another, in a moment. */
__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...) {
    char *made;
    va_list values;
    va_start(values, format);
    if (vasprintf(&made, format, values) < 0) fail("out of memory");
    va_end(values);
    return made;
}

/* Remember why a place cannot be used; -1. */
static int refuse(const char *place, const char *why) {
    troubles = text("%s\n  %s: %s", troubles, place, why);
    return -1;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk) {
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static void remove_tree(const char *folder) {
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Read so many bytes: 0, or -1 with errno. */
static int read_archive(gzFile archive, void *data, int count) {
    errno = EBADMSG;        /* zlib sets none for an archive that is damaged */
    return gzread(archive, data, count) == count ? 0 : -1;
}

/* Copy a file's contents out of the archive: 0, or -1 with errno. */
static int unpack_file(gzFile archive, int folder, const char *path, mode_t mode, long size) {
    char data[128 * BLOCK_BYTES];
    int file = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0) return -1;
    while (size > 0) {
        int count = size < (long)sizeof data ? (int)size : (int)sizeof data;
        if (read_archive(archive, data, (count + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES) != 0) return -1;
        ssize_t written = write(file, data, count);
        if (written != count) return errno = written < 0 ? errno : ENOSPC, -1;
        size -= count;
    }
    return close(file);
}

/* Unpack the whole archive into an empty folder: 0, or -1 with errno. */
static int unpack(gzFile archive, int folder) {
    struct {
        char name[100], mode[8], ids[16], size[12], sum[20], kind, link[100], more[88], prefix[155], end[12];
    } head;
    for (;;) {
        if (read_archive(archive, &head, sizeof head) != 0) return -1;
        if (head.name[0] == '\0') break;            /* an empty block ends the archive */
        char *path = text("%.155s%s%.100s", head.prefix, head.prefix[0] ? "/" : "", head.name);
        mode_t mode = strtol(head.mode, NULL, 8) & 0755;
        int done = 0;
        switch (head.kind) {
            case '0': done = unpack_file(archive, folder, path, mode, strtol(head.size, NULL, 8)); break;
            case '2': done = symlinkat(text("%.100s", head.link), folder, path); break;
            case '5': done = strcmp(path, "./") ? mkdirat(folder, path, mode) : 0; break;
            default: errno = EBADMSG, done = -1;
        }
        if (done != 0) return -1;
        free(path);
    }
    int left;
    while ((left = gzread(archive, &head, sizeof head)) > 0) {}
    return errno = EBADMSG, left;                   /* its checksum stands at the very end */
}

/* Unpack into a folder that there is only once it is whole: 0, or -1 with errno. */
static int unpack_whole(const char *self, long offset, const char *fresh, const char *folder) {
    int file = open(self, O_RDONLY | O_CLOEXEC);
    if (file < 0 || lseek(file, offset, SEEK_SET) < 0) return -1;
    gzFile archive = gzdopen(file, "r");
    if (archive == NULL || gzbuffer(archive, 1 << 18) != 0) return errno = ENOMEM, -1;
    remove_tree(fresh);                             /* of one that was killed */
    int made = mkdir(fresh, 0700) == 0 ? open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (made < 0 || unpack(archive, made) != 0 || syncfs(made) != 0) return -1;
    remove_tree(folder);                            /* of which somebody removed the program */
    return rename(fresh, folder);
}

/* Whether a folder may hold ours: nobody but we and root can exchange what we put there. */
static int is_safe(const struct stat *about) {
    int shared = about->st_mode & (S_IWGRP | S_IWOTH) && !(about->st_mode & S_ISVTX);
    return S_ISDIR(about->st_mode) && (about->st_uid == geteuid() || about->st_uid == 0) && !shared;
}

/* The program below a place, unpacked if need be: 0, or -1. One process unpacks, others wait for it. */
static int provide(const char *place, const char *name, const char *self, long offset) {
    struct stat about;
    const char *folder = text("%s/%s", place, name), *program = text("%s/ai-memory", folder);
    if (mkdir(place, 0700) != 0 && errno == ENOENT) {       /* a home without its .cache */
        mkdir(dirname(text("%s", place)), 0700);
        mkdir(place, 0700);
    }
    if (lstat(place, &about) != 0) return refuse(place, strerror(errno));
    if (!is_safe(&about) || about.st_uid != geteuid()) return refuse(place, "it is not a folder of yours alone");
    if (access(program, X_OK) == 0) return 0;
    int lock = open(text("%s/lock", place), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) return refuse(place, strerror(errno));
    const char *fresh = text("%s/unpacking", place);
    if (access(program, X_OK) != 0 && unpack_whole(self, offset, fresh, folder) != 0) {
        refuse(place, errno == EBADMSG ? "this file is damaged: copy it from where you have it" : strerror(errno));
        remove_tree(fresh);
        return -1;
    }
    return close(lock);
}

/* Become the program below a base folder, or come back with a trouble more. */
static void start(const char *base, const char *below, const char *name, const char *self, long offset, char **words) {
    struct stat about;
    if (base == NULL || base[0] != '/' || stat(base, &about) != 0) return;
    if (!is_safe(&about)) {
        refuse(base, "others than you can write to it");
        return;
    }
    const char *place = text("%s%s", base, below);
    if (provide(place, name, self, offset) != 0) return;
    setenv("LD_LIBRARY_PATH", text("%s/%s/_internal", place, name), 1);     /* PyInstaller's loader wants a zlib */
    execv(text("%s/%s/ai-memory", place, name), words);
    refuse(place, errno == ENOENT ? "this system has not the C library of GNU" : strerror(errno));
}

int main(int count, char **words) {
    char trailer[TRAILER_BYTES + 1] = "", name[49];
    const char *self = "/proc/self/exe", *home = getenv("HOME"), *temp = getenv("TMPDIR");
    long offset;
    int file = open(self, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("/proc is not mounted; without it this program does not find itself");
    if (lseek(file, -TRAILER_BYTES, SEEK_END) < 0 || read(file, trailer, TRAILER_BYTES) != TRAILER_BYTES
        || sscanf(trailer, "ai-memory %48s %ld", name, &offset) != 2)
        fail("this file is not whole: copy it again from where you have it");
    close(file);
    const char *before = getenv("LD_LIBRARY_PATH");
    if (setenv("LD_LIBRARY_PATH_BEFORE", before != NULL ? before : "", 1) != 0) fail("out of memory");
    if (count > 0) words[0] = (char *)getauxval(AT_EXECFN);     /* by this file the program starts itself again */
    start(getenv("XDG_CACHE_HOME"), "/ai-memory", name, self, offset, words);
    start(home, "/.cache/ai-memory", name, self, offset, words);
    start(temp != NULL && *temp ? temp : "/tmp", text("/ai-memory-program-%u", geteuid()), name, self, offset, words);
    fail("there is no folder to unpack into; let XDG_CACHE_HOME name one of yours, on a disk that has 300 MB free and"
         " is not mounted noexec");
}
