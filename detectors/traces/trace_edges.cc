#include "detectors/traces/trace_edges.h"

#include <algorithm>

namespace vigie::detectors {

namespace {

using schemas::label;

bool is_address(std::string_view host) {
    return host.find(':') != std::string_view::npos ||
           host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_this_machine(std::string_view host) {
    return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "[::1]";
}

}  // namespace

std::uint64_t hash_of_span(std::string_view trace, std::string_view span) {
    std::string bytes(trace);
    bytes += '/';
    bytes += span;
    return fnv1a64(bytes);
}

EntityId callee_of(const schemas::Span& span) {
    if (const auto peer = label(span.attributes, "peer.service"); !peer.empty()) {
        return make_entity("service", peer);
    }
    std::string_view host = label(span.attributes, "server.address");
    if (host.empty()) host = label(span.attributes, "net.peer.name");
    if (host.empty() || is_this_machine(host)) return {};
    if (!label(span.attributes, "db.system").empty() ||
        !label(span.attributes, "db.system.name").empty()) {
        return make_entity("database", host);
    }
    if (is_address(host)) return make_entity("host", host);
    const std::size_t dot = host.find('.');
    if (dot == std::string_view::npos) return make_entity("service", host);
    if (host.ends_with(".svc") || host.find(".svc.") != std::string_view::npos) {
        return make_entity("service", host.substr(0, dot));
    }
    return make_entity("host", host);
}

std::uint32_t TraceEdges::intern(const EntityId& service) {
    const auto [at, added] =
        service_numbers_.emplace(service.value, static_cast<std::uint32_t>(services_.size()));
    if (added) services_.push_back(service.value);
    return at->second;
}

bool TraceEdges::learn(const schemas::Span& span, const EntityId& service, Findings& out) {
    if (span.span_id.empty()) return true;
    const std::uint64_t key = hash_of_span(span.trace_id, span.span_id);
    if (services_.size() >= edges_max_ && !service_numbers_.contains(service.value)) {
        ++refused_;
        return true;
    }
    const std::uint32_t number = intern(service);
    map_.saw_service(service.value, span.end);
    if (!seen_.emplace(key, number).second) return false;
    seen_order_.push_back(key);
    if (seen_order_.size() > spans_max_) {
        seen_.erase(seen_order_.front());
        seen_order_.pop_front();
    }
    if (const auto children = waiting_.find(key); children != waiting_.end()) {
        for (const std::uint32_t child : children->second) {
            map_.learn(service, EntityId{services_[child]}, span.end, out);
        }
        waiting_.erase(children);
    }
    if (span.parent_id.empty()) return true;
    const std::uint64_t parent = hash_of_span(span.trace_id, span.parent_id);
    if (const auto found = seen_.find(parent); found != seen_.end()) {
        map_.learn(EntityId{services_[found->second]}, service, span.end, out);
        return true;
    }
    // The parent ends after its child, so it usually comes later.
    waiting_[parent].push_back(number);
    waiting_order_.push_back({parent, number});
    if (waiting_order_.size() > spans_max_) {
        waiting_.erase(waiting_order_.front().parent);
        waiting_order_.pop_front();
    }
    return true;
}

std::optional<std::uint32_t> TraceEdges::number_of(const EntityId& service) const {
    const auto found = service_numbers_.find(service.value);
    return found == service_numbers_.end() ? std::nullopt : std::optional(found->second);
}

void TraceEdges::save(Encoder& out) const {
    out.u64(services_.size());
    for (const auto& service : services_) out.text(service);
    out.u64(seen_order_.size());
    for (const std::uint64_t key : seen_order_) {
        out.u64(key);
        out.u64(seen_.at(key));
    }
    out.u64(waiting_order_.size());
    for (const Waiting& waiting : waiting_order_) {
        out.u64(waiting.parent);
        out.u64(waiting.service);
    }
    out.u64(waiting_.size());
    for (const auto& [parent, children] : waiting_) {
        out.u64(parent);
        out.u64(children.size());
        for (const std::uint32_t child : children) out.u64(child);
    }
    map_.save(out);
}

void TraceEdges::load(Decoder& in, bool names_only) {
    const auto service = [&in, this] {
        const std::uint64_t number = in.u64();
        if (number >= services_.size()) in.set_failed();
        return static_cast<std::uint32_t>(in.failed() ? 0 : number);
    };
    for (std::size_t left = in.count(1); left > 0; --left) {
        services_.push_back(in.text());
        service_numbers_.emplace(services_.back(),
                                 static_cast<std::uint32_t>(services_.size() - 1));
    }
    for (std::size_t left = in.count(2); left > 0; --left) {
        const std::uint64_t key = in.u64();
        if (!seen_.emplace(key, service()).second) in.set_failed();
        seen_order_.push_back(key);
    }
    for (std::size_t left = in.count(2); left > 0; --left) {
        const std::uint64_t parent = in.u64();
        waiting_order_.push_back({parent, service()});
    }
    for (std::size_t left = in.count(2); left > 0; --left) {
        auto& children = waiting_[in.u64()];
        for (std::size_t each = in.count(1); each > 0; --each) children.push_back(service());
    }
    if (names_only) {
        map_.load_names(in);
    } else {
        map_.load(in);
    }
}

}  // namespace vigie::detectors
