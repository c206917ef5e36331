#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "detectors/logs/logs.h"
#include "detectors/logs/miner.h"
#include "detectors/logs/shape.h"
#include "detectors/logs/tally.h"
#include "detectors/robust.h"

namespace vigie::detectors {

// What one service usually logs, and what is unusual about it now. Several kinds of finding, each
// an episode under a key of its own; of those that begin in the same window only the weightiest is
// told, and it names the others.
class LogService {
public:
    LogService(EntityId entity, EventTime at, const LogOptions& options);

    // Files the line in `tally`. Returns how many templates had to make room for its.
    std::size_t take(const schemas::LogRecord& record, LogTally& tally, const LogOptions& options);

    // A window is over; `tally` may be empty.
    void close(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
               Findings& out);

    // Ends what can no longer be judged because there are no lines. What is back is judged again,
    // and its end told.
    void fall_silent(const LogOptions& options, Findings& out);

    bool firing() const;
    bool silent() const;
    EventTime last_at() const { return last_at_; }
    std::size_t templates() const { return miner_.size(); }

    void save(Encoder& out) const;
    void load(Decoder& in);
    void load_2(
        Decoder& in);  // As format 2 had it; the templates are taken over as well as may be.

private:
    // The weightiest first.
    enum Kind : std::uint8_t { kErrors, kNews, kSequence, kValue, kRate, kKinds };
    struct Case {
        Episode episode;
        bool told = false;
        std::string signal;
    };
    // How often something happened, older times counting less.
    struct Faded {
        double value = 0;
        EventTime at;
        void add(EventTime now, EventTime::duration half_life);
        double read(EventTime now, EventTime::duration half_life) const;
    };

    bool warm(EventTime at, const LogOptions& options) const;
    void note_news(TemplateId id, std::string_view line, LogTally& tally);
    void close_news(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
                    Findings& out);
    void close_burst(EventTime from, EventTime to, const LogTally& tally, const LogOptions& options,
                     Findings& out);
    void close_step(EventTime from, EventTime to, const LogOptions& options, Findings& out);
    void judge(Kind kind, const std::vector<LogOddity>& odd, EventTime from, EventTime to,
               const LogOptions& options, Findings& out);
    void describe(const LogOddity& odd, const LogOptions& options, schemas::Anomaly& found) const;
    schemas::Anomaly anomaly(Kind kind) const;
    void tell(Kind kind, schemas::Anomaly found, Findings& out);
    void tell_begun(EventTime now, Findings& out);

    EntityId entity_;
    EventTime first_at_;
    EventTime last_at_;
    std::uint64_t lines_ = 0;
    LogMiner miner_;
    LogShape shape_;
    std::int64_t step_ = 0;  // The step under way, counted from 1970.
    std::array<Case, kKinds> cases_;
    std::set<TemplateId> novel_;  // Templates that are news.
    Faded discoveries_;           // New templates that came often enough to be news.
    Faded alarms_;
    History errors_;            // Error lines of each window in calm times.
    History burst_values_{16};  // While it lasts: the level to adapt to.
    double error_lines_ = 0;    // In calm times, of so many lines: their share.
    double all_lines_ = 0;
    std::vector<std::pair<Kind, schemas::Anomaly>> begun_;  // In this window; not saved.
};

}  // namespace vigie::detectors
