#include "detectors/logs/logs.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/logs/service.h"
#include "detectors/option_check.h"

namespace vigie::detectors {

namespace {

using schemas::LogRecord;

// 4, as 3 is one wrong bit away from 2, which is read too.
constexpr char kVersion = '4';
constexpr char kVersionBefore = '2';
// Later than now by more is a broken clock, earlier by more is not worth a window.
constexpr std::int64_t kWindowsAwayMax = 32;
constexpr std::size_t kWindowsOpenMax = 512;

class LogDetector final : public Detector {
public:
    explicit LogDetector(LogOptions options) : options_(std::move(options)) {}

    using Detector::observe;
    void observe(std::span<const LogRecord> records, Findings& /*out*/) override {
        for (const LogRecord& record : records) take(record);
    }

    void advance(EventTime now, Findings& out) override {
        if (!plausible(now) || (has_now_ && now <= now_)) return;
        // While nobody called, nobody was silent either.
        if (!has_now_ || now - now_ > options_.end_after / 2) watching_since_ = now;
        now_ = now;
        has_now_ = true;
        while (!windows_.empty()) {
            const EventTime from = windows_.begin()->first;
            const EventTime to = from + options_.window;
            if (to + options_.lateness > now_) break;
            close(from, to, windows_.begin()->second, out);
            windows_.erase(windows_.begin());
            closed_until_ = to;
        }
        for (auto& [entity, service] : services_) {
            if (!service.firing()) continue;
            const auto silence = now_ - std::max(service.last_at(), watching_since_);
            if (silence < options_.end_after + options_.lateness) continue;
            service.fall_silent(options_, out);
        }
    }

    std::string save() const override {
        Encoder out;
        out.flag(has_now_);
        out.time(now_);
        out.time(watching_since_);
        out.time(closed_until_);
        out.time(full_until_);
        out.u64(services_.size());
        for (const auto& [entity, service] : services_) {
            out.text(entity);
            service.save(out);
        }
        out.u64(windows_.size());
        for (const auto& [from, tallies] : windows_) {
            out.time(from);
            out.u64(tallies.size());
            for (const auto& [entity, tally] : tallies) {
                out.text(entity);
                tally.save(out);
            }
        }
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        const bool before = saved.starts_with(kVersionBefore);
        VIGIE_TRY_ASSIGN(auto in,
                         Decoder::open(saved, before ? kVersionBefore : kVersion, "log detector"));
        LogDetector loaded(options_);
        loaded.decode(in, before);
        VIGIE_TRY(in.finish());
        has_now_ = loaded.has_now_;
        now_ = loaded.now_;
        watching_since_ = loaded.watching_since_;
        closed_until_ = loaded.closed_until_;
        full_until_ = loaded.full_until_;
        services_ = std::move(loaded.services_);
        windows_ = std::move(loaded.windows_);
        return {};
    }

    Counts counts() const override {
        Counts counts = counts_;
        for (const auto& [entity, service] : services_) counts.tracked += service.templates();
        return counts;
    }

private:
    using Tallies = std::map<std::string, LogTally, std::less<>>;

    void take(const LogRecord& record) {
        if (!plausible(record.at) ||
            (has_now_ && record.at - now_ > kWindowsAwayMax * options_.window)) {
            ++counts_.dropped["bad_time"];
            return;
        }
        if (record.at < closed_until_ ||
            (has_now_ &&
             now_ - record.at > options_.lateness + kWindowsAwayMax * options_.window)) {
            ++counts_.dropped["late"];
            return;
        }
        const EntityId entity = schemas::entity_of(record.attributes);
        if (entity.empty()) {
            ++counts_.dropped["no_entity"];
            return;
        }
        const EventTime from = window_of(record.at);
        if (windows_.size() >= kWindowsOpenMax && !windows_.contains(from)) {
            ++counts_.dropped["bad_time"];
            return;
        }
        auto found = services_.find(entity.value);
        if (found == services_.end()) {
            if (services_.size() >= options_.services_max && !make_room()) {
                ++counts_.dropped["services_max"];
                return;
            }
            found = services_.emplace(entity.value, LogService(entity, record.at, options_)).first;
        }
        const std::size_t gone = found->second.take(record, windows_[from][entity.value], options_);
        if (gone > 0) counts_.dropped["templates_max"] += gone;
    }

    EventTime window_of(EventTime at) const {
        const std::int64_t width = std::chrono::microseconds(options_.window).count();
        const std::int64_t micros = micros_of(at);
        return event_time_from_micros(micros - ((micros % width) + width) % width);
    }

    bool make_room() {
        if (!has_now_ || now_ < full_until_) return false;
        EventTime oldest = now_;
        const std::size_t removed = std::erase_if(services_, [&](const auto& each) {
            const LogService& service = each.second;
            if (service.firing()) return false;
            if (now_ - service.last_at() > options_.idle_after) {
                if (service.silent()) ++counts_.dropped["forgotten"];
                return true;
            }
            oldest = std::min(oldest, service.last_at());
            return false;
        });
        if (removed > 0) return true;
        full_until_ = oldest + options_.idle_after;
        return false;
    }

    void close(EventTime from, EventTime to, const Tallies& tallies, Findings& out) {
        const LogTally none;
        for (auto& [entity, service] : services_) {
            const auto found = tallies.find(entity);
            service.close(from, to, found == tallies.end() ? none : found->second, options_, out);
        }
    }

    void decode(Decoder& in, bool before) {
        has_now_ = in.flag();
        now_ = in.time();
        watching_since_ = in.time();
        closed_until_ = in.time();
        full_until_ = in.time();
        for (std::size_t left = in.count(16); left > 0 && !in.failed(); --left) {
            std::string entity = in.text();
            LogService service({}, {}, options_);
            before ? service.load_2(in) : service.load(in);
            if (!services_.emplace(std::move(entity), std::move(service)).second) in.set_failed();
        }
        for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
            Tallies& tallies = windows_[in.time()];
            for (std::size_t each = in.count(6); each > 0 && !in.failed(); --each) {
                std::string entity = in.text();
                tallies[std::move(entity)].load(in);
            }
        }
    }

    const LogOptions options_;
    Counts counts_;

    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    EventTime closed_until_;                                   // Windows before this are closed.
    EventTime full_until_;                                     // When make_room() may next succeed.
    std::map<std::string, LogService, std::less<>> services_;  // By entity.
    std::map<EventTime, Tallies> windows_;
};

}  // namespace

Result<std::unique_ptr<Detector>> make_log_detector(LogOptions options) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    OptionCheck check("log detector");
    check.span("window", options.window, milliseconds{100});
    check.span("lateness", options.lateness, milliseconds{0});
    check.range<std::uint32_t>("warmup_lines", options.warmup_lines, 0, 100'000'000);
    check.span("warmup_span", options.warmup_span, seconds{0});
    check.range<unsigned>("new_severity_min", options.new_severity_min, 0, 24);
    check.range<unsigned>("error_severity_min", options.error_severity_min, 1, 24);
    check.range<std::uint32_t>("burst_lines_min", options.burst_lines_min, 1, 1'000'000);
    check.range("threshold", options.threshold, 1.0, 1000.0);
    check.range<std::uint32_t>("odd_windows", options.odd_windows, 1, 1000);
    check.range<std::uint32_t>("calm_windows", options.calm_windows, 1, 1000);
    check.range<std::uint32_t>("history_windows", options.history_windows, 5, 100'000);
    check.span("adapt_after", options.adapt_after, seconds{1});
    check.span("end_after", options.end_after, seconds{1});
    check.span("idle_after", options.idle_after, seconds{1});
    check.range<std::size_t>("masks", options.masks.size(), 0, 100);
    check.range<std::size_t>("services_max", options.services_max, 1, 1'000'000);
    check.range<std::size_t>("templates_per_service_max", options.templates_per_service_max, 1,
                             1'000'000);
    check.range<std::size_t>("tokens_max", options.tokens_max, 1, 10'000);
    check.range<std::size_t>("line_bytes_max", options.line_bytes_max, 16, 1'000'000);
    VIGIE_TRY(check.status());
    return std::make_unique<LogDetector>(std::move(options));
}

}  // namespace vigie::detectors
