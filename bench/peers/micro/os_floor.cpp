// SPDX-License-Identifier: Apache-2.0
// Floors from plain system calls.   os_floor spawn | files
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
extern char** environ;
static double wall() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}
static double cpu(int who) {
    rusage r;
    getrusage(who, &r);
    return double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
// /bin/echo with its output read from a pipe.
static bool capture() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    char* args[] = {(char*)"/bin/echo", (char*)"hello", nullptr};
    pid_t p;
    int st;
    bool ok = !posix_spawn(&p, args[0], &actions, nullptr, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char buf[4096];
    ssize_t size = 0, got = 1;
    while (ok && got > 0) size += got = read(ends[0], buf + size, sizeof buf - size_t(size));
    close(ends[0]);
    return ok && waitpid(p, &st, 0) == p && size == 6;
}
int main(int argc, char** argv) {
    if (argc > 1 && !strcmp(argv[1], "spawn")) {
        const int n = 2000;
        char* args[] = {(char*)"/bin/true", nullptr};
        double t = wall(), c = cpu(RUSAGE_SELF);
        for (int i = 0; i < n; i++) {
            pid_t p;
            int st;
            if (posix_spawn(&p, "/bin/true", nullptr, nullptr, args, environ) || waitpid(p, &st, 0) != p) return 1;
        }
        printf("{\"metric\":\"spawn+wait\",\"value\":%.1f,\"unit\":\"per s\"}\n", n / (wall() - t));
        printf("{\"metric\":\"parent CPU per spawn\",\"value\":%.1f,\"unit\":\"us\"}\n", (cpu(RUSAGE_SELF) - c) * 1e6 / n);
        printf("{\"metric\":\"wall per spawn\",\"value\":%.1f,\"unit\":\"us\"}\n", (wall() - t) * 1e6 / n);
        t = wall(), c = cpu(RUSAGE_SELF);
        for (int i = 0; i < n; i++)
            if (!capture()) return 1;
        printf("{\"metric\":\"parent CPU per capture\",\"value\":%.1f,\"unit\":\"us\"}\n", (cpu(RUSAGE_SELF) - c) * 1e6 / n);
        printf("{\"metric\":\"wall per capture\",\"value\":%.1f,\"unit\":\"us\"}\n", (wall() - t) * 1e6 / n);
    } else {  // 10,000 files of 4 KiB, made on first use
        const char* b = getenv("PEERS_BUILD");
        std::string dir = std::string(b ? b : ".") + "/files";
        mkdir(dir.c_str(), 0755);
        std::vector<std::string> names;
        for (int i = 0; i < 10000; i++) names.push_back(dir + "/" + std::to_string(i));
        char buf[65536] = {};
        for (auto& f : names)
            if (access(f.c_str(), R_OK)) {
                int fd = open(f.c_str(), O_CREAT | O_WRONLY, 0644);
                if (write(fd, buf, 4096) != 4096) return 1;
                close(fd);
            }
        for (int pass = 0; pass < 2; pass++) {
            double t = wall(), c = cpu(RUSAGE_SELF);
            for (auto& f : names) {
                int fd = open(f.c_str(), O_RDONLY | O_CLOEXEC);
                if (read(fd, buf, sizeof buf) != 4096) return 1;
                close(fd);
            }
            if (!pass) continue;
            printf("{\"metric\":\"files\",\"value\":%.0f,\"unit\":\"per s\"}\n", 10000 / (wall() - t));
            printf("{\"metric\":\"CPU per file\",\"value\":%.2f,\"unit\":\"us\"}\n", (cpu(RUSAGE_SELF) - c) * 1e6 / 10000);
        }
    }
}
