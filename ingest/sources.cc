#include "ingest/sources.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/signature.h"
#include "ingest/alert.h"
#include "ingest/metrics.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace {

constexpr std::chrono::seconds kWaitMax{300};
constexpr std::size_t kLabelBytesMax = 64;
constexpr std::string_view kAlarm = "VigieSeriesBoundReached";

Refusal wrong_token() {
    Refusal refusal{401, "token", "the token is missing or wrong", false};
    refusal.headers.emplace_back("www-authenticate", "Bearer");
    return refusal;
}

}  // namespace

std::chrono::duration<double> RateLimit::wait(SteadyTime now) {
    if (per_second_ <= 0) return std::chrono::duration<double>{0};
    if (at_) {
        const double passed = std::chrono::duration<double>(now - *at_).count();
        left_ = std::min(most_, left_ + passed * per_second_);
    }
    at_ = now;
    return std::chrono::duration<double>{left_ >= 1 ? 0 : (1 - left_) / per_second_};
}

Source::Source(SourceOptions options, MetricsRegistry& metrics)
    : options_(std::move(options)),
      series_(options_.series_max),
      requests_(metrics.counter(metrics::kSourceRequests, {{"sender", options_.name}})),
      items_(metrics.counter(metrics::kSourceItems, {{"sender", options_.name}})),
      late_(metrics.counter(metrics::kSourceLimited, {{"sender", options_.name}})),
      overflowed_(metrics.counter(metrics::kSourceOverflow, {{"sender", options_.name}})),
      requests_rate_(options_.requests_max, options_.burst),
      bytes_rate_(options_.bytes_max, options_.burst),
      items_rate_(options_.items_max, options_.burst) {}

std::optional<Source::Late> Source::enter(std::size_t bytes, SteadyTime now) {
    const std::scoped_lock lock(mutex_);
    struct Limit {
        RateLimit& rate;
        double max;
        std::string_view what;
    };
    for (const Limit& limit : {Limit{requests_rate_, options_.requests_max, "requests"},
                               Limit{bytes_rate_, options_.bytes_max, "bytes"},
                               Limit{items_rate_, options_.items_max, "items"}}) {
        const double wait = limit.rate.wait(now).count();
        if (wait <= 0) continue;
        late_.add();
        const auto seconds = std::chrono::seconds{std::llround(std::ceil(wait))};
        return Late{std::clamp(seconds, std::chrono::seconds{1}, kWaitMax),
                    fmt::format("'{}' may send {:g} {} each second and sends more", options_.name,
                                limit.max, limit.what)};
    }
    requests_rate_.take(1);
    bytes_rate_.take(static_cast<double>(bytes));
    requests_.add();
    return std::nullopt;
}

void Source::took(std::size_t items) {
    items_.add(items);
    if (options_.items_max <= 0) return;
    const std::scoped_lock lock(mutex_);
    items_rate_.take(static_cast<double>(items));
}

Sources::Sources(Options options, std::shared_ptr<Intake> intake, const Clock& clock,
                 MetricsRegistry& metrics)
    : options_(std::move(options)), intake_(std::move(intake)), clock_(clock), metrics_(metrics) {
    for (const auto& source : options_.sources) {
        named_.push_back(std::make_shared<Source>(source, metrics_));
        if (source.tokens.empty()) anonymous_ = named_.back();
        watched_.push_back({named_.back(), 0, 0, false, {}, {}});
    }
}

std::shared_ptr<Source> Sources::default_of(std::string_view way_in) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = defaults_.find(way_in); found != defaults_.end()) return found->second;
    SourceOptions options;
    options.name = way_in;
    options.series_max = options_.series_max;
    auto source = std::make_shared<Source>(std::move(options), metrics_);
    defaults_.emplace(way_in, source);
    watched_.push_back({source, 0, 0, false, {}, {}});
    return source;
}

// nullptr: nobody.
std::shared_ptr<Source> Sources::find(std::string_view way_in, std::string_view authorization,
                                      const std::string& own_token) {
    const auto secret = http::authorization_secret(authorization);
    bool asks = !own_token.empty();
    std::shared_ptr<Source> found;
    for (const auto& source : named_) {
        for (const auto& token : source->options().tokens) {
            asks = true;
            if (secret && http::equal_constant_time(token, *secret)) found = source;
        }
    }
    if (found) return found;
    if (secret && !own_token.empty() && http::equal_constant_time(own_token, *secret)) {
        return default_of(way_in);
    }
    // Whoever shows a token that nobody has is told so, where tokens mean anything.
    if (secret && asks) return nullptr;
    if (!own_token.empty()) return nullptr;
    if (anonymous_) return anonymous_;
    return named_.empty() ? default_of(way_in) : nullptr;
}

std::expected<std::shared_ptr<Source>, Sources::Denied> Sources::admit(
    const Arrival& arrival, const std::string& own_token) {
    auto source = find(arrival.source, arrival.request.header("authorization"), own_token);
    if (!source) return std::unexpected(Denied{wrong_token(), {}});
    if (auto late = source->enter(arrival.request.body.size(), clock_.steady())) {
        Refusal refusal{429, "rate", std::move(late->why), false};
        refusal.headers.emplace_back("retry-after", std::to_string(late->wait.count()));
        return std::unexpected(Denied{std::move(refusal), late->wait});
    }
    return source;
}

void Sources::tick() {
    const SteadyTime now = clock_.steady();
    const std::scoped_lock lock(mutex_);
    if (!window_ends_) window_ends_ = now + options_.window;
    const bool ended = now >= *window_ends_;
    if (ended) window_ends_ = now + options_.window;
    for (Watched& watched : watched_) watch(watched, ended);
}

void Sources::watch(Watched& watched, bool window_ended) {
    const auto state = watched.source->series().state();
    const std::string& name = watched.source->options().name;
    metrics_.gauge(metrics::kSourceSeries, {{"sender", name}})
        .set(static_cast<double>(state.series));
    watched.refused_in_window += state.refused - std::exchange(watched.refused, state.refused);
    const bool over = watched.refused_in_window > 0;
    if (over && !watched.alarmed) {
        watched.alarmed = true;
        watched.alarmed_at = intake_->now();
        tell(watched);
    } else if (window_ended && !over && watched.alarmed) {
        watched.alarmed = false;
        tell(watched);
    }
    if (window_ended) {
        watched.refused_in_window = 0;
        watched.source->series().turn();
    }
}

void Sources::tell(Watched& watched) {
    const auto widest = watched.source->series().widest();
    const auto& options = watched.source->options();
    const std::string label = one_line(widest.label, kLabelBytesMax);
    // A series of its own for each label: the one before says that it is no more.
    const auto gauge = [&](const std::string& of) -> Gauge& {
        return metrics_.gauge(metrics::kSourceLabelValues,
                              {{"sender", options.name}, {"label", of}});
    };
    if (!watched.label.empty()) gauge(watched.label).set(0);
    watched.label = watched.alarmed ? label : "";
    if (watched.alarmed) gauge(label).set(static_cast<double>(widest.values));

    schemas::Alert alert;
    alert.firing = watched.alarmed;
    alert.name = kAlarm;
    alert.severity = schemas::Severity::kWarning;
    alert.entity = make_entity("source", options.name);
    // The label is no label of the alert, whose identity must stay.
    alert.labels = {{"alertname", std::string(kAlarm)}, {"source", options.name}};
    alert.annotations = {{"label", label}, {"label_values", std::to_string(widest.values)}};
    alert.fingerprint = alert_fingerprint(alert.labels);
    alert.starts_at = watched.alarmed_at;
    if (watched.alarmed) {
        alert.summary = fmt::format(
            "source '{}' has reached its {} series, new ones go to overflow series: label '{}' has "
            "about {} values",
            options.name, options.series_max, label, widest.values);
    } else {
        alert.ends_at = intake_->now();
        alert.summary = fmt::format("source '{}' has fewer than its {} series again", options.name,
                                    options.series_max);
    }
    EventId id = alert_event_id(alert);
    intake_->append_unasked("sources",
                            {intake_->event_message(schemas::topics::kAlerts, "/ingest/sources",
                                                    std::move(id), std::move(alert))});
}

std::shared_ptr<Source> Door::admit(Arrival& arrival) const {
    auto source = sources->admit(arrival, token);
    if (source) {
        arrival.record->sender = (*source)->options().name;
        return *std::move(source);
    }
    intake->refuse(arrival, source.error().refusal);
    return nullptr;
}

}  // namespace vigie::ingest
