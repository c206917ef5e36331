#include "core/log.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "core/system_clock.h"

namespace vigie {

namespace {

constexpr int kRepeatsPerSecondMax = 20;
constexpr std::size_t kEventsTrackedMax = 1024;

bool needs_quotes(std::string_view value) {
    return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
               return c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f;
           });
}

void append_value(std::string& line, std::string_view value) {
    if (!needs_quotes(value)) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (c == '\n') {
            line += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
            line += c;
        }
    }
    line += '"';
}

std::string format_line(std::string_view event, Log::Fields fields) {
    std::string line(event);
    for (const LogField& field : fields) {
        line += ' ';
        line += field.key;
        line += '=';
        append_value(line, field.value);
    }
    return line;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
    constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                spdlog::level::err};
    return levels.at(static_cast<std::size_t>(level));
}

class StderrLog final : public Log {
public:
    explicit StderrLog(LogLevel level_min)
        : sink_(std::make_shared<spdlog::sinks::stderr_sink_mt>()), logger_("vigie", sink_) {
        logger_.set_level(to_spdlog(level_min));
        logger_.flush_on(spdlog::level::debug);
        logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    }

    void write(LogLevel level, std::string_view event, Fields fields) override {
        if (!logger_.should_log(to_spdlog(level))) return;
        const auto dropped = admit(event);
        if (dropped < 0) return;
        std::string line = format_line(event, fields);
        if (dropped > 0) line += fmt::format(" repeats_dropped={}", dropped);
        logger_.log(to_spdlog(level), line);
    }

private:
    struct Rate {
        std::chrono::seconds second{0};
        int written = 0;
        long dropped = 0;
    };

    // How many repeats were dropped since the last line, or -1 when this one is to be dropped.
    long admit(std::string_view event) {
        const auto now =
            std::chrono::floor<std::chrono::seconds>(clock_.steady().time_since_epoch());
        const std::scoped_lock lock(mutex_);
        if (rates_.size() >= kEventsTrackedMax) rates_.clear();
        Rate& rate = rates_[std::string(event)];
        if (rate.second != now) {
            rate.second = now;
            rate.written = 0;
        }
        if (rate.written == kRepeatsPerSecondMax) {
            ++rate.dropped;
            return -1;
        }
        ++rate.written;
        return std::exchange(rate.dropped, 0);
    }

    SystemClock clock_;
    std::shared_ptr<spdlog::sinks::stderr_sink_mt> sink_;
    spdlog::logger logger_;
    std::mutex mutex_;  // Protects everything below.
    std::map<std::string, Rate, std::less<>> rates_;
};

}  // namespace

std::unique_ptr<Log> make_stderr_log(LogLevel level_min) {
    return std::make_unique<StderrLog>(level_min);
}

void MemoryLog::write(LogLevel level, std::string_view event, Fields fields) {
    constexpr std::array<std::string_view, 4> names{"debug", "info", "warn", "error"};
    const std::scoped_lock lock(mutex_);
    lines_.push_back(fmt::format("{} {}", names.at(static_cast<std::size_t>(level)),
                                 format_line(event, fields)));
}

std::vector<std::string> MemoryLog::lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
}

}  // namespace vigie
