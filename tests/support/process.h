#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace vigie::test {

// A child process with its stdin and stdout on pipes; its stderr is ours. Killed, by its id, when
// this is destroyed.
class Process {
public:
    // `command[0]` is the program's path. kUnavailable when it cannot be started.
    static Result<Process> spawn(const std::vector<std::string>& command);
    Process(Process&& other) noexcept;
    Process& operator=(Process&&) = delete;
    ~Process();

    pid_t id() const { return id_; }

    // The next line of its stdout, without the line end. kUnavailable when none came before
    // `wait_max` was over, kNotFound at the end of its output.
    Result<std::string> read_line(std::chrono::milliseconds wait_max);

    // To its stdin, which must not be full.
    void write_line(const std::string& line);

    // Its stdin ends.
    void close_input();

    void send_signal(int signal);

private:
    Process(pid_t id, int input, int output) : id_(id), input_(input), output_(output) {}

    pid_t id_;
    int input_;
    int output_;
    std::string rest_;
};

// A stand-in server of tests/standins/, running.
class Standin {
public:
    // `name` is its file: "kubernetes.py". Asserts that it starts: tests cannot go on without.
    explicit Standin(const std::string& name, std::vector<std::string> arguments = {});

    std::uint16_t port() const { return port_; }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

private:
    std::optional<Process> process_;
    std::uint16_t port_ = 0;
};

// Tries until `condition` holds; false when it did not within `wait_max`.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds wait_max = std::chrono::seconds{20});

}  // namespace vigie::test
