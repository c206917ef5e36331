#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "detectors/log_template.h"
#include "detectors/logs.h"
#include "detectors/robust.h"

namespace vigie::detectors {

// The lines of one service in one window.
struct LogTally {
    std::uint64_t lines = 0;
    std::uint64_t errors = 0;
    std::uint64_t novel = 0;                  // Lines of templates that are news.
    std::string novel_template;               // The first of them.
    std::vector<std::string> error_examples;  // The first five, as received and cut.
    std::vector<std::string> novel_examples;

    void save(Encoder& out) const;
    void load(Decoder& in);
};

// What one service usually logs, and what is unusual about it now.
class LogService {
public:
    LogService(EntityId entity, EventTime at, const LogOptions& options);

    // Files the line in `tally`. False when the miner has no room for its template.
    bool take(const schemas::LogRecord& record, LogTally& tally, const LogOptions& options);

    // A window is over; `tally` may be empty.
    void close(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
               Findings& out);

    // Ends what can no longer be judged because there are no lines. What is back is judged again,
    // and its end told.
    void fall_silent(const LogOptions& options, Findings& out);

    bool firing() const { return news_.firing() || burst_.firing(); }
    bool silent() const { return news_.silent() || burst_.silent(); }
    EventTime last_at() const { return last_at_; }
    std::size_t templates() const { return miner_.size(); }

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    bool warm(EventTime at, const LogOptions& options) const;
    void close_news(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
                    Findings& out);
    void close_burst(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
                     Findings& out);
    bool has_news();
    void forget_news();
    schemas::Anomaly anomaly(std::string_view detector, const Episode& episode) const;

    EntityId entity_;
    EventTime first_at_;
    EventTime last_at_;
    std::uint64_t lines_ = 0;
    TemplateMiner miner_;
    Episode news_;
    std::string news_template_;
    Episode burst_;
    History errors_;            // Error lines of each window in calm times.
    History burst_values_{16};  // While it lasts: the level to adapt to.
};

// The OpenTelemetry severity number, or what the line says of itself when there is none: 21 for
// fatal, critical and panic, 17 for error, 13 for warnings, else 9 (info).
std::uint8_t severity_of(const schemas::LogRecord& record);

}  // namespace vigie::detectors
