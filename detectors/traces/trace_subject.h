#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "detectors/robust.h"
#include "detectors/traces/sketch.h"
#include "detectors/traces/traces.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// Which format of saved state is read: kBefore has neither operations nor self time nor delay, and
// other buckets of latency.
enum class TraceFormat : std::uint8_t { kBefore, kNow };

// The requests of one subject in one window; adds up, in any order.
struct RequestTally {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    LatencySketch latency;
    LatencySketch self;        // Of services and operations: without the time of what they called.
    std::uint64_t waited = 0;  // How many of those called anything.
    LatencySketch delay;       // Of edges: from the client's start to the server's.
    // Trace ids of five errors, the least by text, so that the order of spans does not matter.
    std::vector<std::string> failed;
    std::vector<std::pair<double, std::string>>
        slowest;  // Seconds and trace id, five, longest first

    void add(double seconds, bool error, std::string_view trace);
    void add_self(double seconds, bool has_waited);
    void merge(const RequestTally& other);
    void save(Encoder& out) const;
    void load(Decoder& in, TraceFormat format);

private:
    void keep_failed(std::string_view trace);
    void keep_slow(double seconds, std::string_view trace);
};

// From and to: what the numbers of a judgement were counted in.
struct Window {
    EventTime from;
    EventTime to;
};

// One number of a subject with its own history: usual values, and the anomaly if there is one.
struct Measure {
    History history;
    Episode episode;
    History odd_values{16};  // While firing: the level to adapt to.
    bool above = false;

    void save(Encoder& out) const;
    void load(Decoder& in);
};

// A service or one of its operations as its own spans show it, or a callee as one caller's spans
// show it.
class TraceSubject {
public:
    enum class Scope : std::uint8_t { kService, kEdge, kOperation };
    static constexpr std::size_t kScopes = 3;

    // Known since `at`. `caller` and `operation` are "" but for an edge and an operation.
    TraceSubject(EntityId caller, EntityId entity, std::string operation, EventTime at,
                 const TraceOptions& options);

    // A window is over; `tally` may be empty. `severity` is that of errors and latency.
    void close(const Window& window, const RequestTally& tally, const TraceOptions& options,
               schemas::Severity severity, Findings& out);
    // Ends what can no longer be judged because there are too few requests; the rate only when
    // `nobody` has any, as none is a number as well. What is back is judged again, and its end
    // told.
    void fall_silent(bool nobody, const TraceOptions& options, Findings& out);

    bool firing() const;
    bool silent() const;
    Scope scope() const {
        if (!caller_.empty()) return Scope::kEdge;
        return operation_.empty() ? Scope::kService : Scope::kOperation;
    }
    EventTime last_at() const { return last_at_; }      // End of the last window with requests.
    EventTime judged_at() const { return judged_at_; }  // End of the last judged window.
    const EntityId& entity() const { return entity_; }
    const std::string& operation() const { return operation_; }

    void save(Encoder& out) const;
    void load(Decoder& in, TraceFormat format);

private:
    enum class Kind : std::uint8_t { kLatency, kErrors, kTraffic, kSelf, kDelay };
    struct Verdict {
        Episode::Sight sight = Episode::Sight::kCalm;
        double observed = 0;
        Usual usual;
        double limit = 0;  // Beyond this is odd.
        double score = 0;
    };

    void judge_traffic(const Window& window, const RequestTally& tally, const TraceOptions& options,
                       Findings& out);
    // A time of which longer is worse: of requests, of the service itself, on the way.
    void judge_time(Kind kind, const LatencySketch& sketch, const Window& window,
                    const TraceOptions& options, Findings& out);
    void judge_errors(const Window& window, const TraceOptions& options, Findings& out);
    bool warm(const Measure& measure, const Window& window, const TraceOptions& options) const;
    void settle(Kind kind, const Verdict& verdict, const Window& window,
                const TraceOptions& options, const RequestTally& tally, Findings& out);
    Measure& measure(Kind kind);
    const Measure& measure(Kind kind) const;
    schemas::Anomaly anomaly(Kind kind, const Verdict& verdict, const RequestTally& tally) const;
    std::string reason(Kind kind, const schemas::Anomaly& anomaly, const Usual& usual,
                       const RequestTally& tally) const;
    std::array<const Measure*, 5> measures() const {
        return {&latency_, &errors_, &traffic_, &self_, &delay_};
    }

    EntityId caller_;  // Empty for a service's own spans.
    EntityId entity_;
    std::string operation_;         // Empty for a service as a whole.
    schemas::Severity severity_{};  // Of errors and latency, when they began.
    schemas::Severity severity_traffic_{};
    schemas::Severity severity_parts_{};  // Of self time and delay.
    bool started_ = false;
    EventTime first_at_;
    EventTime last_at_;
    EventTime judged_at_;
    RequestTally pending_;  // Too few requests yet to judge.
    EventTime pending_from_;
    std::uint64_t pending_windows_ = 0;
    Measure latency_;
    Measure errors_;
    Measure traffic_;
    Measure self_;
    Measure delay_;
};

}  // namespace vigie::detectors
