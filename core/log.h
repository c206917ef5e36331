#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace vigie {

struct LogField {
    std::string_view key;  // snake_case, with its unit if it is a number.
    std::string value;     // Never a secret.
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Writes events: one fixed sentence plus fields. Safe to call from any thread. core/log.cc is
// the only file that knows the logging library; tests use MemoryLog.
class Log {
public:
    using Fields = std::initializer_list<LogField>;

    Log() = default;
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;
    virtual ~Log() = default;

    virtual void write(LogLevel level, std::string_view event, Fields fields) = 0;

    void debug(std::string_view event, Fields fields = {}) {
        write(LogLevel::kDebug, event, fields);
    }
    // Asked for, and done.
    void info(std::string_view event, Fields fields = {}) { write(LogLevel::kInfo, event, fields); }
    // Degraded, nothing lost.
    void warn(std::string_view event, Fields fields = {}) { write(LogLevel::kWarn, event, fields); }
    // Data lost, or needs a person.
    void error(std::string_view event, Fields fields = {}) {
        write(LogLevel::kError, event, fields);
    }
};

// One line for each event on stderr: "2026-11-21T10:28:00.123Z info event key=value". A value
// with a blank, a quote or a control character is quoted and escaped, so that one event is
// always one line. Repeats of one event above 20 a second are dropped and counted; the count
// is written with the next line that passes.
std::unique_ptr<Log> make_stderr_log(LogLevel level_min);

// Keeps lines in memory; for tests.
class MemoryLog final : public Log {
public:
    void write(LogLevel level, std::string_view event, Fields fields) override;
    std::vector<std::string> lines() const;

private:
    mutable std::mutex mutex_;  // Protects everything below.
    std::vector<std::string> lines_;
};

}  // namespace vigie
