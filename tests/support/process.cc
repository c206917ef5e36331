#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/system_clock.h"

namespace vigie::test {

namespace {

constexpr std::chrono::seconds kStartWaitMax{30};

Error system_error(const std::string& doing, int number) {
    return {ErrorKind::kUnavailable, doing + ": " + std::strerror(number)};
}

}  // namespace

Result<Process> Process::spawn(const std::vector<std::string>& command) {
    VIGIE_ASSERT(!command.empty());
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    if (::pipe2(input.data(), O_CLOEXEC) != 0) return fail(system_error("pipe", errno));
    if (::pipe2(output.data(), O_CLOEXEC) != 0) {
        ::close(input[0]);
        ::close(input[1]);
        return fail(system_error("pipe", errno));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    std::vector<std::string> arguments = command;
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_t id = 0;
    const int error =
        ::posix_spawn(&id, command[0].c_str(), &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(input[0]);
    ::close(output[1]);
    if (error != 0) {
        ::close(input[1]);
        ::close(output[0]);
        return fail(system_error("start " + command[0], error));
    }
    return Process(id, input[1], output[0]);
}

Process::Process(Process&& other) noexcept
    : id_(std::exchange(other.id_, 0)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      rest_(std::move(other.rest_)) {}

Process::~Process() {
    if (id_ == 0) return;
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
    ::close(input_);
    ::close(output_);
}

void Process::write_line(const std::string& line) {
    const std::string text = line + "\n";
    VIGIE_ASSERT(::write(input_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void Process::close_input() {
    ::close(std::exchange(input_, -1));
}

void Process::send_signal(int signal) {
    ::kill(id_, signal);
}

Result<std::string> Process::read_line(std::chrono::milliseconds wait_max) {
    const SystemClock clock;
    const auto deadline = clock.steady() + wait_max;
    for (;;) {
        if (const auto end = rest_.find('\n'); end != std::string::npos) {
            auto line = rest_.substr(0, end);
            rest_.erase(0, end + 1);
            return line;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock.steady());
        if (left.count() <= 0) return fail(ErrorKind::kUnavailable, "no line in time");
        pollfd waiting{.fd = output_, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno != EINTR) return fail(system_error("poll", errno));
        if (ready <= 0) continue;
        std::array<char, 4096> buffer{};
        const auto size = ::read(output_, buffer.data(), buffer.size());
        if (size < 0 && errno != EINTR) return fail(system_error("read", errno));
        if (size == 0) return fail(ErrorKind::kNotFound, "end of output");
        if (size > 0) rest_.append(buffer.data(), static_cast<std::size_t>(size));
    }
}

Standin::Standin(const std::string& name, std::vector<std::string> arguments) {
    std::vector<std::string> command{"/usr/bin/python3",
                                     std::string(VIGIE_SOURCE_DIR) + "/tests/standins/" + name,
                                     "--until-stdin-ends"};
    for (auto& argument : arguments) command.push_back(std::move(argument));
    auto process = Process::spawn(command);
    VIGIE_ASSERT(process.has_value());
    process_.emplace(*std::move(process));
    const auto line = process_->read_line(kStartWaitMax);
    const std::string prefix = "listening ";
    VIGIE_ASSERT(line && line->starts_with(prefix));
    port_ = static_cast<std::uint16_t>(std::stoi(line->substr(prefix.size())));
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds wait_max) {
    const SystemClock clock;
    const auto deadline = clock.steady() + wait_max;
    while (!condition()) {
        if (clock.steady() > deadline) return false;
        sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

}  // namespace vigie::test
