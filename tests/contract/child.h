#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"

namespace vigie::streams {

// Both ends are closed in children, except those given to Child.
struct Pipe {
    Pipe() {
        int ends[2];
        VIGIE_ASSERT(pipe2(ends, O_CLOEXEC) == 0);
        read_end = ends[0];
        write_end = ends[1];
    }
    ~Pipe() {
        close_end(read_end);
        close_end(write_end);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    static void close_end(int& end) {
        if (end >= 0) close(end);
        end = -1;
    }

    int read_end = -1;
    int write_end = -1;
};

// This test program again, running one hidden test case with `variables` in its environment. A
// plain fork would not do: RocksDB's threads would be missing in the child.
class Child {
public:
    using Variables = std::vector<std::pair<std::string, std::string>>;

    Child(std::string test, const Variables& variables, std::vector<int> inherited) {
        std::vector<std::string> texts;
        for (char** entry = environ; *entry != nullptr; ++entry) texts.emplace_back(*entry);
        for (const auto& [name, value] : variables) texts.push_back(name + "=" + value);
        std::vector<char*> environment;
        for (std::string& text : texts) environment.push_back(text.data());
        environment.push_back(nullptr);
        for (const int end : inherited) fcntl(end, F_SETFD, 0);
        std::string program = "/proc/self/exe";
        std::string quiet = "--out=/dev/null";
        std::vector<char*> arguments{program.data(), test.data(), quiet.data(), nullptr};
        VIGIE_ASSERT(posix_spawn(&pid_, program.data(), nullptr, nullptr, arguments.data(),
                                 environment.data()) == 0);
        for (const int end : inherited) fcntl(end, F_SETFD, FD_CLOEXEC);
    }
    ~Child() {
        if (pid_ != 0) {
            kill();
            wait();
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void kill() const { send_signal(SIGKILL); }
    void send_signal(int signal) const { ::kill(pid_, signal); }
    // The status as waitpid says it.
    int wait() {
        int status = 0;
        VIGIE_ASSERT(waitpid(pid_, &status, 0) == pid_);
        pid_ = 0;
        return status;
    }

private:
    pid_t pid_ = 0;
};

}  // namespace vigie::streams
