#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/id.h"
#include "detectors/codec.h"
#include "detectors/detector.h"
#include "detectors/traces/service_map.h"
#include "schemas/telemetry.h"

namespace vigie::detectors {

// What a client or producer span calls: service:PEER by peer.service; else, by server.address,
// database:ADDRESS when there is a db.system, service:NAME for a name without dots or in a
// cluster's .svc domain, host:ADDRESS otherwise. "" when the span does not say, or says only that
// it is this machine.
EntityId callee_of(const schemas::Span& span);

// The hash by which a span is known. Traces and spans have ids of their own, so two spans with one
// hash are not to be expected among those that are remembered.
std::uint64_t hash_of_span(std::string_view trace, std::string_view span);

// Who calls whom, from spans in any order. A span is remembered until `spans_max` newer ones
// came; an edge for good, so that each is reported once.
class TraceEdges {
public:
    TraceEdges(std::size_t spans_max, std::size_t edges_max)
        : spans_max_(spans_max), edges_max_(edges_max), map_(edges_max) {}

    // False for a span that was already seen: the caller must not count it twice.
    bool learn(const schemas::Span& span, const EntityId& service, Findings& out);
    ServiceMap& map() { return map_; }
    const ServiceMap& map() const { return map_; }
    // The number of a service that a span was of; nothing when there are too many.
    std::optional<std::uint32_t> number_of(const EntityId& service) const;
    const std::string& service(std::uint32_t number) const { return services_[number]; }
    std::size_t services() const { return services_.size(); }

    // Edges and services above the limit.
    std::uint64_t refused() const { return refused_ + map_.refused(); }

    void save(Encoder& out) const;
    void load(Decoder& in, bool names_only);  // `names_only`: the format before.

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
    ServiceMap map_;
};

}  // namespace vigie::detectors
