#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "core/time.h"
#include "ingest/intake.h"
#include "ingest/series_bound.h"

namespace vigie::ingest {

// Who sends telemetry, and how much of it is taken from him.
struct SourceOptions {
    std::string name;
    // Any one of them is his; without any he is everybody who sends none.
    std::vector<std::string> tokens;
    std::string tenant;  // Becomes a label of all that he sends; "" adds none.
    // In each second, on average over `burst`; 0: no limit. Items are points, records and spans.
    double requests_max = 0;
    double bytes_max = 0;
    double items_max = 0;
    std::chrono::seconds burst{5};
    std::size_t series_max = 1'000'000;
};

// A flow that may be exceeded for a while and must then be made up for: what is taken is paid
// afterwards, so one request that is larger than the burst is possible.
class RateLimit {
public:
    RateLimit(double per_second, std::chrono::seconds burst)
        : per_second_(per_second),
          most_(std::max(per_second * static_cast<double>(burst.count()), 1.0)),
          left_(most_) {}

    // 0 when there is at least one left, else until when there is not.
    std::chrono::duration<double> wait(SteadyTime now);
    void take(double amount) { left_ -= amount; }

private:
    const double per_second_;
    const double most_;
    double left_;
    std::optional<SteadyTime> at_;
};

// One source at work. For any thread.
class Source {
public:
    Source(SourceOptions options, MetricsRegistry& metrics);

    const SourceOptions& options() const { return options_; }
    SeriesBound& series() { return series_; }

    // Empty when the request may come in, and is then paid for; else how long to wait, and why not.
    struct Late {
        std::chrono::seconds wait;
        std::string why;
    };
    std::optional<Late> enter(std::size_t bytes, SteadyTime now);
    // What the request held, which is known only once it was read.
    void took(std::size_t items);
    void overflowed(std::size_t items) { overflowed_.add(items); }

private:
    const SourceOptions options_;
    SeriesBound series_;
    Counter& requests_;
    Counter& items_;
    Counter& late_;
    Counter& overflowed_;
    std::mutex mutex_;  // Protects everything below.
    RateLimit requests_rate_;
    RateLimit bytes_rate_;
    RateLimit items_rate_;
};

// Who may send telemetry: OTLP, remote write, Loki and JSON lines. For any thread.
class Sources {
public:
    struct Options {
        // At most one without tokens. None at all: every way in is a source of its own name.
        std::vector<SourceOptions> sources;
        std::size_t series_max = 1'000'000;  // Of a source that is not named
        std::chrono::seconds window{3600};   // A series that does not come for two is forgotten.
        std::string tenant_label = "tenant";
    };

    // `clock` and `metrics` must outlive it.
    Sources(Options options, std::shared_ptr<Intake> intake, const Clock& clock,
            MetricsRegistry& metrics);

    struct Denied {
        Refusal refusal;
        std::chrono::seconds wait{0};  // For 429
    };
    // Who sent the request; or 401 for a token that is missing or nobody's, 429 for too much.
    // `own_token` is the one of the way in itself; "" asks for none.
    std::expected<std::shared_ptr<Source>, Denied> admit(const Arrival& arrival,
                                                         const std::string& own_token);

    const std::string& tenant_label() const { return options_.tenant_label; }

    // To be called every second or so: windows, gauges, and the alarm of a source that has more
    // series than it may, which names the label with most values. It is an alert like any other.
    void tick();

private:
    struct Watched {
        std::shared_ptr<Source> source;
        std::uint64_t refused = 0;
        std::uint64_t refused_in_window = 0;
        bool alarmed = false;
        EventTime alarmed_at;
        std::string label;  // That the gauge names
    };

    std::shared_ptr<Source> find(std::string_view way_in, std::string_view authorization,
                                 const std::string& own_token);
    std::shared_ptr<Source> default_of(std::string_view way_in);
    void watch(Watched& watched, bool window_ended);
    void tell(Watched& watched);

    const Options options_;
    const std::shared_ptr<Intake> intake_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    std::vector<std::shared_ptr<Source>> named_;
    std::shared_ptr<Source> anonymous_;  // Of the named ones
    std::mutex mutex_;                   // Protects everything below.
    std::map<std::string, std::shared_ptr<Source>, std::less<>> defaults_;
    std::vector<Watched> watched_;
    std::optional<SteadyTime> window_ends_;
};

// What the receivers of telemetry have in common.
struct Door {
    std::shared_ptr<Intake> intake;
    std::shared_ptr<Sources> sources;
    std::string token;  // Of the way in itself; "" for none

    // Who sent it; nullptr when that was refused, and answered.
    std::shared_ptr<Source> admit(Arrival& arrival) const;
};

}  // namespace vigie::ingest
