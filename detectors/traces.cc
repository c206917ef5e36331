#include "detectors/traces.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/option_check.h"
#include "detectors/trace_edges.h"
#include "detectors/trace_subject.h"

namespace vigie::detectors {

namespace {

using schemas::Span;
using schemas::SpanKind;

constexpr char kVersion = '2';
// Later than now by more is a broken clock, earlier by more is not worth a window.
constexpr std::int64_t kWindowsAwayMax = 32;
constexpr std::size_t kWindowsOpenMax = 512;

bool is_server_error(const Span& span) {
    for (const std::string_view key : {"http.response.status_code", "http.status_code"}) {
        const auto code = schemas::label(span.attributes, key);
        if (code.size() == 3 && code.front() == '5') return true;
    }
    return false;
}

class TraceDetector final : public Detector {
public:
    explicit TraceDetector(TraceOptions options)
        : options_(options), edges_(options_.spans_max, options_.edges_max) {}

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
        for (const auto& [from, tallies] : windows_) {
            out.time(from);
            out.u64(tallies.size());
            for (const auto& [key, tally] : tallies) {
                out.text(key);
                tally.save(out);
            }
        }
        edges_.save(out);
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        VIGIE_TRY_ASSIGN(auto in, Decoder::open(saved, kVersion, "trace detector"));
        TraceDetector loaded(options_);
        loaded.decode(in);
        VIGIE_TRY(in.finish());
        has_now_ = loaded.has_now_;
        now_ = loaded.now_;
        watching_since_ = loaded.watching_since_;
        closed_until_ = loaded.closed_until_;
        std::ranges::copy(loaded.full_until_, full_until_);
        subjects_ = std::move(loaded.subjects_);
        windows_ = std::move(loaded.windows_);
        edges_ = std::move(loaded.edges_);
        edge_subjects_ = loaded.edge_subjects_;
        return {};
    }

    Counts counts() const override {
        Counts counts = counts_;
        counts.tracked = subjects_.size() + edges_.size();
        if (edges_.refused() > 0) counts.dropped["edges_max"] += edges_.refused();
        return counts;
    }

private:
    using Tallies = std::map<std::string, RequestTally, std::less<>>;

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
        const bool error = span.error || is_server_error(span);
        if (span.kind == SpanKind::kServer || span.kind == SpanKind::kConsumer) {
            count({}, service, span, error);
        } else if (span.kind == SpanKind::kClient || span.kind == SpanKind::kProducer) {
            const EntityId callee = callee_of(span);
            if (callee.empty() || callee == service) return;
            edges_.learn_edge(service, callee, span.end, out);
            count(service, callee, span, error);
        }
    }

    void count(const EntityId& caller, const EntityId& entity, const Span& span, bool error) {
        if (span.end < closed_until_ ||
            (has_now_ && now_ - span.end > options_.lateness + kWindowsAwayMax * options_.window)) {
            ++counts_.dropped["late"];
            return;
        }
        const std::string key =
            caller.empty() ? entity.value : fmt::format("{}->{}", caller.value, entity.value);
        if (!subjects_.contains(key) && !add_subject(key, caller, entity, span.end)) {
            return;
        }
        const std::int64_t width = std::chrono::microseconds(options_.window).count();
        const std::int64_t micros = micros_of(span.end);
        const std::int64_t start = micros - ((micros % width) + width) % width;
        const EventTime from = event_time_from_micros(start);
        if (windows_.size() >= kWindowsOpenMax && !windows_.contains(from)) {
            ++counts_.dropped["bad_time"];
            return;
        }
        windows_[from][key].add(span, error);
    }

    bool add_subject(const std::string& key, const EntityId& caller, const EntityId& entity,
                     EventTime at) {
        const bool edge = !caller.empty();
        const std::size_t services = subjects_.size() - edge_subjects_;
        if (edge ? edge_subjects_ >= options_.edges_max : services >= options_.services_max) {
            if (!make_room(edge)) {
                ++counts_.dropped[edge ? "edges_max" : "services_max"];
                return false;
            }
        }
        subjects_.emplace(key, TraceSubject(caller, entity, at, options_));
        if (edge) ++edge_subjects_;
        return true;
    }

    bool make_room(bool edge) {
        if (!has_now_ || now_ < full_until_[edge ? 1 : 0]) return false;
        EventTime oldest = now_;
        const std::size_t removed = std::erase_if(subjects_, [&](const auto& each) {
            const TraceSubject& subject = each.second;
            if (subject.is_edge() != edge || subject.firing()) return false;
            if (now_ - subject.last_at() > options_.idle_after) {
                if (subject.silent()) ++counts_.dropped["forgotten"];
                return true;
            }
            oldest = std::min(oldest, subject.last_at());
            return false;
        });
        if (edge) edge_subjects_ -= removed;
        if (removed > 0) return true;
        full_until_[edge ? 1 : 0] = oldest + options_.idle_after;
        return false;
    }

    void close(const Window& window, const Tallies& tallies, Findings& out) {
        static const RequestTally kNone;
        for (auto& [key, subject] : subjects_) {
            const auto found = tallies.find(key);
            const bool known = subject.is_edge() && subjects_.contains(subject.entity().value);
            subject.close(window, found == tallies.end() ? kNone : found->second, options_,
                          known ? options_.severity_known_edge : options_.severity, out);
        }
    }

    void decode(Decoder& in) {
        has_now_ = in.flag();
        now_ = in.time();
        watching_since_ = in.time();
        closed_until_ = in.time();
        for (EventTime& until : full_until_) until = in.time();
        for (std::size_t left = in.count(32); left > 0 && !in.failed(); --left) {
            std::string key = in.text();
            TraceSubject subject({}, {}, {}, options_);
            subject.load(in);
            if (subject.is_edge()) ++edge_subjects_;
            if (!subjects_.emplace(std::move(key), std::move(subject)).second) in.set_failed();
        }
        for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
            Tallies& tallies = windows_[in.time()];
            for (std::size_t each = in.count(4); each > 0 && !in.failed(); --each) {
                std::string key = in.text();
                tallies[std::move(key)].load(in);
            }
        }
        edges_.load(in);
    }

    const TraceOptions options_;
    Counts counts_;
    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    EventTime closed_until_;     // Windows before this are closed.
    EventTime full_until_[2]{};  // When make_room() may next succeed, for services and for edges.
    std::map<std::string, TraceSubject, std::less<>> subjects_;
    std::size_t edge_subjects_ = 0;  // How many of them are edges.
    std::map<EventTime, Tallies> windows_;
    TraceEdges edges_;
};

}  // namespace

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
    VIGIE_TRY(check.status());
    return std::make_unique<TraceDetector>(options);
}

}  // namespace vigie::detectors
