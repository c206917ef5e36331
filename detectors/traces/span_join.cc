#include "detectors/traces/span_join.h"

#include <algorithm>
#include <tuple>

namespace vigie::detectors {

namespace {

using schemas::SpanKind;

constexpr int kDepthMax = 32;
constexpr std::size_t kWaitsMax = 4096;  // Of one span.
constexpr std::int64_t kEpochMicros = 600'000'000;

bool is_internal(const JoinSpan& span) {
    return span.kind == SpanKind::kInternal || span.kind == SpanKind::kUnspecified;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
    hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6U) + (hash >> 2U);
    return hash;
}

std::int64_t micros_between(EventTime from, EventTime to) {
    return std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
}

}  // namespace

EventClock::duration self_time(Interval whole, std::vector<Interval> parts) {
    std::ranges::sort(parts);
    EventClock::duration left = whole.second - whole.first;
    EventTime covered = whole.first;
    for (const auto& [from, to] : parts) {
        const EventTime begin = std::max(from, covered);
        const EventTime end = std::min(to, whole.second);
        if (end <= begin) continue;
        left -= end - begin;
        covered = end;
    }
    return left;
}

bool SpanJoin::add(EventTime window, JoinSpan span) {
    if (size_ >= limits_.spans_max) return false;
    auto& spans = spans_[window];
    spans.push_back(std::move(span));
    JoinSpan& kept = spans.back();
    ++size_;
    ids_.insert(kept.id);
    if (kept.parent != 0) {
        children_[kept.parent].push_back(&kept);
        kept.met = kept.met || ids_.contains(kept.parent);
    }
    if (const auto children = children_.find(kept.id); children != children_.end()) {
        for (JoinSpan* child : children->second) child->met = true;
    }
    return true;
}

// So that nothing depends on the order in which spans came.
std::vector<const JoinSpan*> SpanJoin::sorted(std::vector<const JoinSpan*> spans) {
    std::ranges::sort(spans, {}, [](const JoinSpan* span) {
        return std::tuple(span->start, span->end, span->id);
    });
    return spans;
}

std::vector<const JoinSpan*> SpanJoin::children_of(const JoinSpan& span) const {
    const auto found = children_.find(span.id);
    if (found == children_.end()) return {};
    return sorted({found->second.begin(), found->second.end()});
}

bool SpanJoin::is_call(const JoinSpan& client, const JoinSpan& server) {
    return client.kind == SpanKind::kClient && server.kind == SpanKind::kServer &&
           client.service != server.service;
}

SpanJoin::Call SpanJoin::call_of(const JoinSpan& client, const JoinSpan& server) {
    std::uint64_t pair = mixed(client.service, client.place);
    pair = mixed(mixed(pair, server.service), server.place);
    return {pair, micros_between(client.start, server.start),
            micros_between(client.start, client.end) - micros_between(server.start, server.end)};
}

// A server that worked for longer than its client waited tells nothing of the way.
void SpanJoin::learn_skew(std::int64_t epoch, const Call& call) {
    if (call.on_the_way < 0) return;
    if (skews_.size() >= limits_.places_max && !skews_.contains(call.pair)) return;
    Skew& skew = skews_[call.pair];
    if (skew.epoch < epoch) {
        const bool next = skew.epoch == epoch - 1;
        skew.on_the_way_before = next ? skew.on_the_way : -1;
        skew.ahead_before = next ? skew.ahead : 0;
        skew.on_the_way = -1;
        skew.epoch = epoch;
    }
    const std::int64_t ahead = call.there - call.on_the_way / 2;
    if (skew.on_the_way < 0 ||
        std::pair(call.on_the_way, ahead) < std::pair(skew.on_the_way, skew.ahead)) {
        skew.on_the_way = call.on_the_way;
        skew.ahead = ahead;
    }
}

double SpanJoin::delay_of(const Call& call) const {
    std::int64_t there = call.on_the_way / 2;  // Nothing better is known.
    if (const auto found = skews_.find(call.pair); found != skews_.end()) {
        const Skew& skew = found->second;
        const bool before = skew.on_the_way < 0 || (skew.on_the_way_before >= 0 &&
                                                    skew.on_the_way_before < skew.on_the_way);
        there = call.there - (before ? skew.ahead_before : skew.ahead);
    }
    return static_cast<double>(std::clamp<std::int64_t>(there, 0, call.on_the_way)) / 1e6;
}

void SpanJoin::collect_waits(const JoinSpan& span, int depth, std::vector<Interval>& out) const {
    if (depth > kDepthMax) return;
    for (const JoinSpan* child : children_of(span)) {
        if (out.size() >= kWaitsMax) return;
        if (is_internal(*child) && child->service == span.service) {
            collect_waits(*child, depth + 1, out);
        } else {
            out.emplace_back(child->start, child->end);
        }
    }
}

void SpanJoin::close(EventTime window, const Joined& joined) {
    const auto found = spans_.find(window);
    if (found != spans_.end()) {
        std::vector<const JoinSpan*> spans;
        spans.reserve(found->second.size());
        for (const JoinSpan& span : found->second) spans.push_back(&span);
        spans = sorted(spans);
        const std::int64_t epoch = micros_of(window) / kEpochMicros;
        forget_skews(epoch);
        for (const JoinSpan* span : spans) {
            for (const JoinSpan* child : children_of(*span)) {
                if (is_call(*span, *child)) learn_skew(epoch, call_of(*span, *child));
            }
        }
        for (const JoinSpan* span : spans) {
            if (span->kind == SpanKind::kServer || span->kind == SpanKind::kConsumer) {
                std::vector<Interval> waits;
                collect_waits(*span, 0, waits);
                const bool has_waited = !waits.empty();
                const auto own = self_time({span->start, span->end}, std::move(waits));
                joined.self(*span, std::chrono::duration<double>(own).count(), has_waited);
            }
            for (const JoinSpan* child : children_of(*span)) {
                if (child->service == span->service) continue;
                joined.call(*span, *child);
                if (!is_call(*span, *child)) continue;
                const Call call = call_of(*span, *child);
                if (call.on_the_way >= 0) joined.delay(*span, *child, delay_of(call));
            }
        }
    }
    while (!spans_.empty() &&
           spans_.begin()->first + limits_.window + limits_.parent_wait <= window) {
        expire(spans_.begin()->first);
    }
}

void SpanJoin::expire(EventTime window) {
    auto& spans = spans_.at(window);
    for (const JoinSpan& span : spans) {
        if (span.parent == 0) continue;
        if (!span.met) ++incomplete_;
        const auto siblings = children_.find(span.parent);
        if (siblings == children_.end()) continue;
        std::erase_if(siblings->second, [&span](const JoinSpan* each) { return each == &span; });
        if (siblings->second.empty()) children_.erase(siblings);
    }
    for (const JoinSpan& span : spans) ids_.erase(span.id);
    size_ -= spans.size();
    spans_.erase(window);
}

void SpanJoin::forget_skews(std::int64_t epoch) {
    if (skews_.size() < limits_.places_max) return;
    std::erase_if(skews_, [epoch](const auto& each) { return each.second.epoch < epoch - 1; });
}

bool SpanJoin::numbers_below(std::size_t services) const {
    return std::ranges::all_of(spans_, [services](const auto& window) {
        return std::ranges::all_of(
            window.second, [services](const JoinSpan& span) { return span.service < services; });
    });
}

void SpanJoin::save(Encoder& out) const {
    out.u64(spans_.size());
    for (const auto& [window, spans] : spans_) {
        out.time(window);
        out.u64(spans.size());
        for (const JoinSpan& span : spans) {
            for (const std::uint64_t value : {span.id, span.parent, std::uint64_t{span.service},
                                              span.place, static_cast<std::uint64_t>(span.kind)}) {
                out.u64(value);
            }
            out.time(span.start);
            out.time(span.end);
            out.flag(span.error);
            out.u64(span.callee);
            out.flag(span.met);
            out.text(span.operation);
            out.text(span.trace);
        }
    }
    out.u64(skews_.size());
    for (const auto& [pair, skew] : skews_) {
        out.u64(pair);
        for (const std::int64_t value :
             {skew.epoch, skew.on_the_way, skew.ahead, skew.on_the_way_before, skew.ahead_before}) {
            out.i64(value);
        }
    }
}

void SpanJoin::load(Decoder& in) {
    constexpr std::int64_t kMicrosMax = std::int64_t{1} << 60U;
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        const EventTime window = in.time();
        for (std::size_t each = in.count(11); each > 0 && !in.failed(); --each) {
            JoinSpan span;
            span.id = in.u64();
            span.parent = in.u64();
            const std::uint64_t service = in.u64();
            span.place = in.u64();
            const std::uint64_t kind = in.u64();
            if (service > UINT32_MAX || kind > static_cast<std::uint64_t>(SpanKind::kConsumer)) {
                in.set_failed();
                return;
            }
            span.service = static_cast<std::uint32_t>(service);
            span.kind = static_cast<SpanKind>(kind);
            span.start = in.time();
            span.end = in.time();
            if (span.end < span.start) in.set_failed();
            span.error = in.flag();
            span.callee = in.u64();
            span.met = in.flag();
            span.operation = in.text();
            span.trace = in.text();
            if (!in.failed()) add(window, std::move(span));
        }
    }
    for (std::size_t left = in.count(6); left > 0 && !in.failed(); --left) {
        Skew& skew = skews_[in.u64()];
        for (std::int64_t* value : {&skew.epoch, &skew.on_the_way, &skew.ahead,
                                    &skew.on_the_way_before, &skew.ahead_before}) {
            *value = in.i64();
            if (*value > kMicrosMax || *value < -kMicrosMax) in.set_failed();
        }
    }
}

}  // namespace vigie::detectors
