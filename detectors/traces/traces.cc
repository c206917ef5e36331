#include "detectors/traces/traces.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/option_check.h"
#include "detectors/traces/operations.h"
#include "detectors/traces/span_join.h"
#include "detectors/traces/trace_edges.h"
#include "detectors/traces/trace_subject.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Span;
using schemas::SpanKind;

constexpr char kVersion = '4';
constexpr char kVersionBefore = '2';
// Later than now by more is a broken clock, earlier by more is not worth a window.
constexpr std::int64_t kWindowsAwayMax = 32;
constexpr std::size_t kWindowsOpenMax = 512;
constexpr std::size_t kTraceIdBytesMax = 64;

bool is_server_error(const Span& span) {
    for (const std::string_view key : {"http.response.status_code", "http.status_code"}) {
        const auto code = schemas::label(span.attributes, key);
        if (code.size() == 3 && code.front() == '5') return true;
    }
    return false;
}

double seconds_of(const Span& span) {
    return std::chrono::duration<double>(span.end - span.start).count();
}

// What says on which machine, and so by which clock, a span ran.
std::uint64_t place_of(const Span& span) {
    std::string bytes;
    for (const std::string_view key : {"host.name", "host.id", "k8s.node.name", "k8s.pod.name",
                                       "service.instance.id", "container.id"}) {
        bytes += schemas::label(span.resource, key);
        bytes += '/';
    }
    return fnv1a64(bytes);
}

class TraceDetector final : public Detector {
public:
    explicit TraceDetector(TraceOptions options)
        : options_(options),
          operations_({options.operations_max, options.operations_total_max, options.idle_after}),
          edges_(options.spans_max, options.edges_max),
          join_({options.window, options.parent_wait, options.join_spans_max, options.edges_max}) {}

    using Detector::observe;
    void observe(std::span<const Span> spans, Findings& out) override {
        for (const Span& span : spans) take(span, out);
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
            join(from, windows_.begin()->second, out);
            close({from, to}, windows_.begin()->second, out);
            windows_.erase(windows_.begin());
            closed_until_ = to;
        }
        const auto silent_since = [this](EventTime last) {
            return now_ - std::max(last, watching_since_) >= options_.end_after + options_.lateness;
        };
        const bool nobody = silent_since(closed_until_);
        for (auto& [key, subject] : subjects_) {
            if (!subject.firing() || !silent_since(subject.judged_at())) continue;
            subject.fall_silent(nobody, options_, out);
        }
        edges_.map().fall_silent(now_, silent_since, options_, out);
    }

    std::string save() const override {
        Encoder out;
        out.flag(has_now_);
        out.time(now_);
        out.time(watching_since_);
        out.time(closed_until_);
        for (const EventTime until : full_until_) out.time(until);
        out.u64(subjects_.size());
        for (const auto& [key, subject] : subjects_) {
            out.text(key);
            subject.save(out);
        }
        out.u64(windows_.size());
        for (const auto& [from, open] : windows_) {
            out.time(from);
            open.save(out);
        }
        operations_.save(out);
        join_.save(out);
        edges_.save(out);
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        const bool before = saved.starts_with(kVersionBefore);
        VIGIE_TRY_ASSIGN(
            auto in, Decoder::open(saved, before ? kVersionBefore : kVersion, "trace detector"));
        TraceDetector loaded(options_);
        loaded.decode(in, before ? TraceFormat::kBefore : TraceFormat::kNow);
        VIGIE_TRY(in.finish());
        has_now_ = loaded.has_now_;
        now_ = loaded.now_;
        watching_since_ = loaded.watching_since_;
        closed_until_ = loaded.closed_until_;
        full_until_ = loaded.full_until_;
        subjects_ = std::move(loaded.subjects_);
        windows_ = std::move(loaded.windows_);
        operations_ = std::move(loaded.operations_);
        join_ = std::move(loaded.join_);
        edges_ = std::move(loaded.edges_);
        subject_counts_ = loaded.subject_counts_;
        return {};
    }

    Counts counts() const override {
        Counts counts = counts_;
        counts.tracked = subjects_.size() + edges_.map().size();
        const auto add = [&counts](const char* reason, std::uint64_t number) {
            if (number > 0) counts.dropped[reason] += number;
        };
        add("edges_max", edges_.refused());
        add("operations_max", operations_.overflowed());
        add("incomplete", join_.incomplete());
        return counts;
    }

    std::map<Edge, EdgeStats> service_map() const { return edges_.map().stats(); }

private:
    using Scope = TraceSubject::Scope;
    // What came of a window so far.
    struct OpenWindow {
        std::map<std::string, RequestTally, std::less<>> tallies;  // Of services and edges, by key.
        std::map<std::pair<std::string, std::string>, RequestTally>
            operations;  // Service and name.
        MapWindow map;

        void save(Encoder& out) const;
        void load(Decoder& in, TraceFormat format);
    };

    static std::string key_of(const std::string& caller, const std::string& callee) {
        return fmt::format("{}->{}", caller, callee);
    }

    void take(const Span& span, Findings& out) {
        if (!plausible(span.start) || !plausible(span.end) || span.end < span.start ||
            (has_now_ && span.end - now_ > kWindowsAwayMax * options_.window)) {
            ++counts_.dropped["bad_time"];
            return;
        }
        const EntityId service = schemas::entity_of(span.resource);
        if (service.empty()) {
            ++counts_.dropped["no_entity"];
            return;
        }
        if (!edges_.learn(span, service, out)) {
            ++counts_.dropped["duplicate"];
            return;
        }
        OpenWindow* const open = window_of(span);
        if (open == nullptr) return;
        const bool error = span.error || is_server_error(span);
        std::string operation;
        EntityId callee;
        if (span.kind == SpanKind::kServer || span.kind == SpanKind::kConsumer) {
            operation = operations_.admit(service.value, span.name, span.end);
            count(*open, {}, service, span, error);
            if (!operation.empty()) {
                open->operations[{service.value, operation}].add(seconds_of(span), error,
                                                                 span.trace_id);
            }
        } else if (span.kind == SpanKind::kClient || span.kind == SpanKind::kProducer) {
            callee = callee_of(span);
            if (callee == service) callee = {};
            if (!callee.empty()) {
                edges_.map().learn(service, callee, span.end, out);
                count(*open, service, callee, span, error);
                count_call(*open, service.value, callee.value, error);
            }
        }
        add_to_join(*open, span, service, callee, std::move(operation), error);
    }

    // nullptr for a span that is not counted, which is counted as such.
    OpenWindow* window_of(const Span& span) {
        if (span.end < closed_until_ ||
            (has_now_ && now_ - span.end > options_.lateness + kWindowsAwayMax * options_.window)) {
            ++counts_.dropped["late"];
            return nullptr;
        }
        const EventTime from = window_from(span.end);
        if (windows_.size() >= kWindowsOpenMax && !windows_.contains(from)) {
            ++counts_.dropped["bad_time"];
            return nullptr;
        }
        return &windows_[from];
    }

    EventTime window_from(EventTime at) const {
        const std::int64_t width = std::chrono::microseconds(options_.window).count();
        const std::int64_t micros = micros_of(at);
        return event_time_from_micros(micros - ((micros % width) + width) % width);
    }

    void count(OpenWindow& open, const EntityId& caller, const EntityId& entity, const Span& span,
               bool error) {
        const std::string key = caller.empty() ? entity.value : key_of(caller.value, entity.value);
        if (!subjects_.contains(key) && !add_subject(key, caller, entity, "", span.end)) return;
        open.tallies[key].add(seconds_of(span), error, span.trace_id);
    }

    void count_call(OpenWindow& open, const std::string& caller, const std::string& callee,
                    bool error) {
        Edge edge{caller, callee};
        if (!edges_.map().knows(edge)) return;
        CallCount& calls = open.map.calls[std::move(edge)];
        ++calls.calls;
        if (error) ++calls.errors;
    }

    void add_to_join(OpenWindow& open, const Span& span, const EntityId& service,
                     const EntityId& callee, std::string operation, bool error) {
        const auto number = edges_.number_of(service);
        if (!number || span.span_id.empty()) return;
        ++open.map.spans[service.value];
        JoinSpan made;
        made.id = hash_of_span(span.trace_id, span.span_id);
        if (!span.parent_id.empty()) made.parent = hash_of_span(span.trace_id, span.parent_id);
        made.service = *number;
        made.place = place_of(span);
        made.kind = span.kind;
        made.start = span.start;
        made.end = span.end;
        made.error = error;
        if (!callee.empty()) made.callee = fnv1a64(callee.value);
        made.operation = std::move(operation);
        made.trace = cut(span.trace_id, kTraceIdBytesMax);
        if (!join_.add(window_from(span.end), std::move(made))) ++counts_.dropped["join_spans_max"];
    }

    // Adds what spans tell together to the window that is about to close.
    void join(EventTime window, OpenWindow& open, Findings& out) {
        const auto name = [this](const JoinSpan& span) -> const std::string& {
            return edges_.service(span.service);
        };
        SpanJoin::Joined joined;
        joined.self = [&](const JoinSpan& span, double seconds, bool has_waited) {
            const auto service = open.tallies.find(name(span));
            if (service != open.tallies.end()) service->second.add_self(seconds, has_waited);
            const auto operation = open.operations.find({name(span), span.operation});
            if (operation != open.operations.end()) operation->second.add_self(seconds, has_waited);
        };
        joined.delay = [&](const JoinSpan& client, const JoinSpan& server, double seconds) {
            const auto edge = open.tallies.find(key_of(name(client), name(server)));
            if (edge != open.tallies.end()) edge->second.delay.add(seconds);
        };
        joined.call = [&](const JoinSpan& caller, const JoinSpan& callee) {
            if (caller.callee == fnv1a64(name(callee))) return;  // Counted when it came.
            const EntityId from{name(caller)};
            const EntityId to{name(callee)};
            edges_.map().learn(from, to, callee.end, out);
            count_call(open, from.value, to.value, caller.error);
            if (caller.kind != SpanKind::kClient || caller.callee != 0) return;
            const std::string key = key_of(from.value, to.value);
            if (!subjects_.contains(key) && !add_subject(key, from, to, "", caller.end)) return;
            open.tallies[key].add(std::chrono::duration<double>(caller.end - caller.start).count(),
                                  caller.error, caller.trace);
        };
        join_.close(window, joined);
    }

    bool add_subject(const std::string& key, const EntityId& caller, const EntityId& entity,
                     const std::string& operation, EventTime at) {
        TraceSubject subject(caller, entity, operation, at, options_);
        const auto scope = static_cast<std::size_t>(subject.scope());
        const std::array<std::size_t, TraceSubject::kScopes> most{
            options_.services_max, options_.edges_max,
            options_.operations_total_max + options_.services_max};
        if (subject_counts_.at(scope) >= most.at(scope) && !make_room(subject.scope())) {
            constexpr std::array<const char*, TraceSubject::kScopes> kReasons{
                "services_max", "edges_max", "operations_total_max"};
            ++counts_.dropped[kReasons.at(scope)];
            return false;
        }
        ++subject_counts_.at(scope);
        subjects_.emplace(key, std::move(subject));
        return true;
    }

    bool make_room(Scope scope) {
        EventTime& full_until = full_until_.at(static_cast<std::size_t>(scope));
        if (!has_now_ || now_ < full_until) return false;
        EventTime oldest = now_;
        const std::size_t removed = std::erase_if(subjects_, [&](const auto& each) {
            const TraceSubject& subject = each.second;
            if (subject.scope() != scope || subject.firing()) return false;
            if (now_ - subject.last_at() > options_.idle_after) {
                if (subject.silent()) ++counts_.dropped["forgotten"];
                return true;
            }
            oldest = std::min(oldest, subject.last_at());
            return false;
        });
        subject_counts_.at(static_cast<std::size_t>(scope)) -= removed;
        if (removed > 0) return true;
        full_until = oldest + options_.idle_after;
        return false;
    }

    void close(const Window& window, const OpenWindow& open, Findings& out) {
        static const RequestTally kNone;
        for (const auto& [of, tally] : open.operations) {
            // The only operation of a service is the service.
            if (operations_.count(of.first) < 2) continue;
            const std::string key = fmt::format("{}|{}", of.first, of.second);
            if (subjects_.contains(key)) continue;
            add_subject(key, {}, EntityId{of.first}, of.second, window.to);
        }
        for (auto& [key, subject] : subjects_) {
            const RequestTally* tally = &kNone;
            if (subject.scope() == Scope::kOperation) {
                const auto found =
                    open.operations.find({subject.entity().value, subject.operation()});
                if (found != open.operations.end()) tally = &found->second;
            } else if (const auto found = open.tallies.find(key); found != open.tallies.end()) {
                tally = &found->second;
            }
            subject.close(window, *tally, options_, severity_of(subject), out);
        }
        edges_.map().close(window.from, window.to, open.map, options_, out);
    }

    schemas::Severity severity_of(const TraceSubject& subject) const {
        if (subject.scope() == Scope::kOperation) return options_.severity_operation;
        const bool known =
            subject.scope() == Scope::kEdge && subjects_.contains(subject.entity().value);
        return known ? options_.severity_known_edge : options_.severity;
    }

    void decode(Decoder& in, TraceFormat format) {
        has_now_ = in.flag();
        now_ = in.time();
        watching_since_ = in.time();
        closed_until_ = in.time();
        for (std::size_t scope = 0; scope < TraceSubject::kScopes; ++scope) {
            if (scope < 2 || format == TraceFormat::kNow) full_until_.at(scope) = in.time();
        }
        for (std::size_t left = in.count(32); left > 0 && !in.failed(); --left) {
            std::string key = in.text();
            TraceSubject subject({}, {}, {}, {}, options_);
            subject.load(in, format);
            ++subject_counts_.at(static_cast<std::size_t>(subject.scope()));
            if (!subjects_.emplace(std::move(key), std::move(subject)).second) in.set_failed();
        }
        for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
            windows_[in.time()].load(in, format);
        }
        if (format == TraceFormat::kNow) {
            operations_.load(in);
            join_.load(in);
        }
        edges_.load(in, format == TraceFormat::kBefore);
        if (!join_.numbers_below(edges_.services())) in.set_failed();
    }

    const TraceOptions options_;
    Counts counts_;
    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    EventTime closed_until_;  // Windows before this are closed.
    // When make_room() may next succeed, and how many there are, by scope.
    std::array<EventTime, TraceSubject::kScopes> full_until_{};
    std::array<std::size_t, TraceSubject::kScopes> subject_counts_{};
    std::map<std::string, TraceSubject, std::less<>> subjects_;
    std::map<EventTime, OpenWindow> windows_;
    Operations operations_;
    TraceEdges edges_;
    SpanJoin join_;
};

void TraceDetector::OpenWindow::save(Encoder& out) const {
    out.u64(tallies.size());
    for (const auto& [key, tally] : tallies) {
        out.text(key);
        tally.save(out);
    }
    out.u64(operations.size());
    for (const auto& [of, tally] : operations) {
        out.text(of.first);
        out.text(of.second);
        tally.save(out);
    }
    out.u64(map.calls.size());
    for (const auto& [edge, count] : map.calls) {
        out.text(edge.first);
        out.text(edge.second);
        out.u64(count.calls);
        out.u64(count.errors);
    }
    out.u64(map.spans.size());
    for (const auto& [service, count] : map.spans) {
        out.text(service);
        out.u64(count);
    }
}

void TraceDetector::OpenWindow::load(Decoder& in, TraceFormat format) {
    for (std::size_t each = in.count(4); each > 0 && !in.failed(); --each) {
        std::string key = in.text();
        tallies[std::move(key)].load(in, format);
    }
    if (format == TraceFormat::kBefore) return;
    for (std::size_t each = in.count(5); each > 0 && !in.failed(); --each) {
        std::string service = in.text();
        operations[{std::move(service), in.text()}].load(in, format);
    }
    for (std::size_t each = in.count(4); each > 0 && !in.failed(); --each) {
        std::string caller = in.text();
        CallCount& count = map.calls[{std::move(caller), in.text()}];
        count.calls = in.u64();
        count.errors = in.u64();
    }
    for (std::size_t each = in.count(2); each > 0 && !in.failed(); --each) {
        std::string service = in.text();
        map.spans[std::move(service)] = in.u64();
    }
}

}  // namespace

std::map<Edge, EdgeStats> service_map_of(const Detector& detector) {
    const auto* const traces = dynamic_cast<const TraceDetector*>(&detector);
    return traces == nullptr ? std::map<Edge, EdgeStats>{} : traces->service_map();
}

Result<std::unique_ptr<Detector>> make_trace_detector(TraceOptions options) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    OptionCheck check("trace detector");
    check.span("window", options.window, milliseconds{100});
    check.span("lateness", options.lateness, milliseconds{0});
    check.range<std::uint32_t>("requests_min", options.requests_min, 1, 1'000'000);
    check.range<std::uint32_t>("merge_windows_max", options.merge_windows_max, 1, 1000);
    check.range<std::uint32_t>("history_windows", options.history_windows, 5, 100'000);
    check.range<std::uint32_t>("warmup_windows", options.warmup_windows, 3,
                               options.history_windows);
    check.span("warmup_span", options.warmup_span, seconds{0});
    check.range<std::uint32_t>("odd_windows", options.odd_windows, 1, 1000);
    check.range<std::uint32_t>("calm_windows", options.calm_windows, 1, 1000);
    check.range("threshold", options.threshold, 1.0, 1000.0);
    check.range("latency_seconds_min", options.latency_seconds_min, 0.0, 86'400.0);
    check.range("latency_factor_min", options.latency_factor_min, 1.0, 1000.0);
    check.range("error_ratio_min", options.error_ratio_min, 0.0, 1.0);
    check.range("traffic_factor_min", options.traffic_factor_min, 1.0, 1000.0);
    check.span("adapt_after", options.adapt_after, seconds{1});
    check.span("end_after", options.end_after, seconds{1});
    check.span("idle_after", options.idle_after, options.end_after);
    check.range<std::size_t>("services_max", options.services_max, 1, 1'000'000);
    check.range<std::size_t>("edges_max", options.edges_max, 1, 1'000'000);
    check.range<std::size_t>("spans_max", options.spans_max, 1, 100'000'000);
    check.range<std::size_t>("operations_max", options.operations_max, 1, 10'000);
    check.range<std::size_t>("operations_total_max", options.operations_total_max, 1, 1'000'000);
    check.range<std::size_t>("join_spans_max", options.join_spans_max, 1, 100'000'000);
    check.span("parent_wait", options.parent_wait, seconds{0});
    check.span("edge_gone_after", options.edge_gone_after, seconds{1});
    VIGIE_TRY(check.status());
    return std::make_unique<TraceDetector>(options);
}

}  // namespace vigie::detectors
