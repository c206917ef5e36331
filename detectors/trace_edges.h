#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// What a client or producer span calls: service:PEER by peer.service; else, by server.address,
// database:ADDRESS when there is a db.system, service:NAME for a name without dots or in a
// cluster's .svc domain, host:ADDRESS otherwise. "" when the span does not say, or says only that
// it is this machine.
EntityId callee_of(const schemas::Span& span);

// Who calls whom, from spans in any order. A span is remembered until `spans_max` newer ones
// came; an edge for good, so that each is reported once.
class TraceEdges {
public:
    TraceEdges(std::size_t spans_max, std::size_t edges_max)
        : spans_max_(spans_max), edges_max_(edges_max) {}

    // False for a span that was already seen: the caller must not count it twice.
    bool learn(const schemas::Span& span, const EntityId& service, Findings& out);
    void learn_edge(const EntityId& caller, const EntityId& callee, EventTime at, Findings& out);

    std::size_t size() const { return edges_.size(); }
    std::uint64_t refused() const { return refused_; }  // Edges and services above the limit.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Waiting {
        std::uint64_t parent;
        std::uint32_t service;
    };
    std::uint32_t intern(const EntityId& service);

    // Constant after construction.
    std::size_t spans_max_;
    std::size_t edges_max_;

    std::uint64_t refused_ = 0;

    // Saved.
    std::vector<std::string> services_;
    std::map<std::string, std::uint32_t, std::less<>> service_numbers_;
    std::deque<std::uint64_t> seen_order_;
    std::map<std::uint64_t, std::uint32_t> seen_;  // By hash of trace and span id.
    std::deque<Waiting> waiting_order_;
    std::map<std::uint64_t, std::vector<std::uint32_t>> waiting_;  // By the parent's hash.
    std::set<std::pair<std::string, std::string>> edges_;
};

}  // namespace vigie::detectors
