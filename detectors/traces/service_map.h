#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "detectors/phase.h"
#include "detectors/traces/traces.h"

namespace vigie::detectors {

using Edge = std::pair<std::string, std::string>;  // Caller and callee, entity ids.

struct CallCount {
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
};

// What happened in one window, from spans in any order.
struct MapWindow {
    std::map<Edge, CallCount> calls;
    std::map<std::string, std::uint64_t> spans;  // Of each service, by entity.
};

// Who calls whom, how often, and how the edge lives: a new one at a caller that is known for long,
// and one that is gone although its caller goes on, are findings ("trace.edge_new",
// "trace.edge_gone"). An edge is known for good.
class ServiceMap {
public:
    explicit ServiceMap(std::size_t edges_max) : edges_max_(edges_max) {}

    // A service was seen; an edge was. `learn` tells of a new one in out.topology.
    void saw_service(const std::string& service, EventTime at);
    void learn(const EntityId& caller, const EntityId& callee, EventTime at, Findings& out);

    // A window is over: counts it, and judges every edge.
    void close(EventTime from, EventTime to, const MapWindow& window, const TraceOptions& options,
               Findings& out);

    // What fires and has nothing left to judge by ends as silent. `silent_since` says whether a
    // time is so long ago.
    void fall_silent(EventTime now, const std::function<bool(EventTime)>& silent_since,
                     const TraceOptions& options, Findings& out);

    bool knows(const Edge& edge) const { return edges_.contains(edge); }
    std::size_t size() const { return edges_.size(); }
    std::uint64_t refused() const { return refused_; }
    std::map<Edge, EdgeStats> stats() const;

    void save(Encoder& out) const;
    void load(Decoder& in);
    // Edges alone, as the format before had them.
    void load_names(Decoder& in);

private:
    struct Life {
        EdgeStats stats;
        bool announced = false;       // Whether it was judged to be new, or not.
        Phase fresh = Phase::kQuiet;  // Of "trace.edge_new",
        Phase gone = Phase::kQuiet;   // and of "trace.edge_gone".
        EventTime gone_at;
        EventTime judged_at;  // The end of the last window in which its caller did something.
        // Of the windows in which the caller did something, older ones fading.
        double calls_usual = 0;
        double spans_usual = 0;
        std::uint64_t windows = 0;
        // How many calls were to be expected since the last one, and the most there ever were.
        double expected_idle = 0;
        double longest_idle = 0;
    };

    void judge_new(const Edge& edge, Life& life, std::uint64_t calls, EventTime to,
                   const TraceOptions& options, Findings& out);
    void judge_gone(const Edge& edge, Life& life, std::uint64_t calls, std::uint64_t spans,
                    EventTime to, const TraceOptions& options, Findings& out);
    static schemas::Anomaly anomaly(const char* detector, const Edge& edge, const Life& life,
                                    EventTime now, const TraceOptions& options);

    std::size_t edges_max_;
    std::uint64_t refused_ = 0;
    // Saved.
    std::map<Edge, Life> edges_;
    std::map<std::string, EventTime> services_;  // When each was first seen.
};

}  // namespace vigie::detectors
