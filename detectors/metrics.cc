#include "detectors/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/light_series.h"
#include "detectors/match.h"
#include "detectors/option_check.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Anomaly;
using schemas::Ended;
using schemas::Labels;
using schemas::MetricKind;
using schemas::Point;
using schemas::TimeSeries;

constexpr char kVersion = '3';
constexpr char kVersionBefore = '2';  // Of another model of a series: LightSeries reads it.
constexpr double kValueMax = 1e200;
constexpr std::chrono::hours kAheadMax{1};  // Later than now by more is a broken clock.
constexpr std::chrono::seconds kSweepEvery{10};
constexpr std::uint64_t kSettlePoints = 32;  // Then a series is a counter or a gauge for good.
constexpr double kGapSteps = 10;
constexpr std::size_t kSignalBytesMax = 300;

// The least spread that means anything, whatever the series: half a percent of a CPU or a
// ratio, a kilobyte a second, a page cache's breath, half a millisecond.
double scale_floor(std::string_view unit) {
    if (unit == "s/s" || unit == "ratio") return 0.005;
    if (unit == "B/s") return 1024;
    if (unit == "B") return 65'536;
    return unit == "s" ? 0.0005 : 0;
}

struct Series {
    std::string metric;
    EntityId entity;
    schemas::Symptom symptom{};
    bool counter = false;
    bool settled = false;   // Whether `counter` is known for sure.
    bool integral = true;   // Only whole numbers so far: a counter of events.
    bool negative = false;  // Values below zero were seen.
    bool has_last = false;  // `last` is the point before, not from before a staleness marker.
    double last = 0;        // As received.
    EventTime last_at;
    double step_seconds = 0;
    std::uint64_t points = 0;
    std::uint64_t increases = 0;
    std::uint64_t decreases = 0;
    double observed = 0;
    double floor = 0;     // scale_floor() of its unit; not saved.
    Judgement judgement;  // Of the newest point.
    LightSeries model;

    std::string unit() const { return unit_of(metric, counter); }
};

bool counter_by_name(std::string_view metric) {
    return metric.ends_with("_total") || metric.ends_with("_count") || metric.ends_with("_sum") ||
           metric.ends_with("_bucket");
}

void save_series(const Series& series, Encoder& out) {
    out.text(series.metric);
    out.text(series.entity.value);
    out.u64(static_cast<std::uint64_t>(series.symptom));
    for (const bool flag : {series.counter, series.settled, series.integral, series.negative,
                            series.has_last, series.judgement.judged}) {
        out.flag(flag);
    }
    out.f64(series.last);
    out.time(series.last_at);
    out.f64(series.step_seconds);
    out.u64(series.points);
    out.u64(series.increases);
    out.u64(series.decreases);
    for (const double value : {series.observed, series.judgement.expected, series.judgement.lower,
                               series.judgement.upper, series.judgement.score}) {
        out.f64(value);
    }
    series.model.save(out);
}

Series load_series(Decoder& in, bool before) {
    Series series;
    series.metric = in.text();
    series.entity.value = in.text();
    const std::uint64_t symptom = in.u64();
    if (symptom > static_cast<std::uint64_t>(schemas::Symptom::kOther)) in.set_failed();
    series.symptom = static_cast<schemas::Symptom>(symptom & 0xffU);
    for (bool* flag : {&series.counter, &series.settled, &series.integral, &series.negative,
                       &series.has_last, &series.judgement.judged}) {
        *flag = in.flag();
    }
    series.last = in.f64();
    series.last_at = in.time();
    series.step_seconds = in.f64();
    series.points = in.u64();
    series.increases = in.u64();
    series.decreases = in.u64();
    if (!std::isfinite(series.last) || !(series.step_seconds >= 0)) in.set_failed();
    for (double* value : {&series.observed, &series.judgement.expected, &series.judgement.lower,
                          &series.judgement.upper, &series.judgement.score}) {
        *value = in.f64();
    }
    before ? series.model.load_before(in) : series.model.load(in);
    series.floor = scale_floor(series.unit());
    return series;
}

class SeasonalDetector final : public Detector {
public:
    SeasonalDetector(MetricsOptions options, std::vector<SeriesPattern> select,
                     std::vector<SeriesPattern> ignore)
        : options_(std::move(options)), select_(std::move(select)), ignore_(std::move(ignore)) {
        model_options_.warmup_points = options_.warmup_points;
        model_options_.warmup_span = options_.warmup_span;
        model_options_.threshold = options_.threshold;
        model_options_.spread_ratio_min = options_.spread_ratio_min;
        model_options_.spread_min = options_.spread_min;
        model_options_.odd_points = options_.odd_points;
        model_options_.calm_points = options_.calm_points;
        model_options_.seasonal = options_.seasonal;
        model_options_.adapt_after = options_.adapt_after;
        model_options_.up = options_.direction != Direction::kDown;
        model_options_.down = options_.direction != Direction::kUp;
    }

    using Detector::observe;
    void observe(std::span<const TimeSeries> batch, Findings& out) override {
        for (const TimeSeries& input : batch) {
            if (!matches_any(select_, input.metric, input.labels) ||
                matches_any(ignore_, input.metric, input.labels)) {
                continue;
            }
            Entry* entry = find_or_add(input.metric, input.labels, input.kind);
            if (entry == nullptr) {
                counts_.dropped["series_max"] += input.points.size();
                continue;
            }
            for (const Point& point : input.points) take(entry->first, entry->second, point, out);
        }
    }

    void observe(const SampleBatch& batch, Findings& out) override {
        numbered_.resize(std::max<std::size_t>(numbered_.size(), batch.series.end()));
        for (std::size_t i = 0; i < batch.samples.size(); ++i) {
            if (i + kAhead < batch.samples.size()) prefetch(batch.samples[i + kAhead].series);
            const schemas::Sample& sample = batch.samples[i];
            Entry* entry = numbered_[sample.series];
            if (entry == nullptr) entry = look_up(sample, batch.series);
            if (entry == &ignored_) continue;
            if (entry == nullptr) {
                ++counts_.dropped["series_max"];
                continue;
            }
            take(entry->first, entry->second, {sample.at, sample.value, sample.stale}, out);
        }
    }

    void forget(std::span<const schemas::SeriesHandle> series) override {
        for (const schemas::SeriesHandle number : series) {
            if (number < numbered_.size()) numbered_[number] = nullptr;
        }
    }

    void advance(EventTime now, Findings& out) override {
        if (!plausible(now) || (has_now_ && now <= now_)) return;
        // While nobody called, nobody was silent either.
        if (!has_now_ || now - now_ > options_.end_after / 2) watching_since_ = now;
        now_ = now;
        has_now_ = true;
        if (now_ - swept_at_ < kSweepEvery) return;
        swept_at_ = now_;
        for (auto& [key, series] : series_) {
            if (!series.model.episode().firing()) continue;
            const auto silence = now_ - std::max(series.last_at, watching_since_);
            if (silence < options_.end_after) continue;
            series.model.fall_silent();
            out.anomalies.push_back(anomaly(key, series, Ended::kSilent));
        }
    }

    std::string save() const override {
        Encoder out;
        out.flag(has_now_);
        out.time(now_);
        out.time(watching_since_);
        out.time(swept_at_);
        out.time(full_until_);
        out.u64(series_.size());
        for (const auto& [key, series] : series_) {
            out.text(key);
            save_series(series, out);
        }
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        const bool before = !saved.empty() && saved.front() == kVersionBefore;
        VIGIE_TRY_ASSIGN(
            auto in, Decoder::open(saved, before ? kVersionBefore : kVersion, "metrics detector"));
        const bool has_now = in.flag();
        const EventTime now = in.time();
        const EventTime watching_since = in.time();
        const EventTime swept_at = in.time();
        const EventTime full_until = in.time();
        std::map<std::string, Series, std::less<>> series;
        for (std::size_t left = in.count(32); left > 0 && !in.failed(); --left) {
            std::string key = in.text();
            series.insert_or_assign(std::move(key), load_series(in, before));
        }
        VIGIE_TRY(in.finish());
        has_now_ = has_now;
        now_ = now;
        watching_since_ = watching_since;
        swept_at_ = swept_at;
        full_until_ = full_until;
        series_ = std::move(series);
        numbered_.clear();
        return {};
    }

    Counts counts() const override {
        Counts counts = counts_;
        counts.tracked = series_.size();
        return counts;
    }

private:
    using Entry = std::pair<const std::string, Series>;

    Entry* find_or_add(std::string_view metric, const Labels& labels, MetricKind kind) {
        const std::string key = schemas::to_string(metric, labels);
        const auto found = series_.find(key);
        if (found != series_.end()) return &*found;
        if (series_.size() >= options_.series_max && !make_room()) return nullptr;
        Entry& entry = *series_.try_emplace(key).first;
        Series& series = entry.second;
        series.metric = metric;
        series.entity = schemas::entity_of(labels, metric);
        series.symptom = symptom_of(series.metric, labels);
        series.settled = kind != MetricKind::kUnknown;
        series.counter = kind == MetricKind::kCounter ||
                         (kind == MetricKind::kUnknown && counter_by_name(metric));
        series.floor = scale_floor(series.unit());
        return &entry;
    }

    // What `numbered_` is to say of a series that it does not know; nullptr when it is refused.
    Entry* look_up(const schemas::Sample& sample, const schemas::SeriesTable& table) {
        const auto metric = table.metric(sample.series);
        const Labels labels = table.labels(sample.series);
        const bool watched =
            matches_any(select_, metric, labels) && !matches_any(ignore_, metric, labels);
        Entry* const entry = watched ? find_or_add(metric, labels, sample.kind) : &ignored_;
        numbered_[sample.series] = entry;
        return entry;
    }

    // Series are far apart in memory, and nothing else foretells which comes next.
    [[gnu::always_inline]] void prefetch(schemas::SeriesHandle number) const {
        const Entry* const entry = numbered_[number];
        if (entry == nullptr || entry == &ignored_) return;
        __builtin_prefetch(&entry->second.counter);
        __builtin_prefetch(&entry->second.points);
        __builtin_prefetch(&entry->second.judgement);
        entry->second.model.prefetch();
    }

    // Forgets the series that are idle for long. Looks again only when another can have become
    // so, because looking means looking at all of them.
    bool make_room() {
        if (!has_now_ || now_ < full_until_) return false;
        EventTime oldest = now_;
        std::ranges::fill(numbered_, nullptr);
        std::erase_if(series_, [&](const auto& each) {
            const Series& series = each.second;
            if (series.model.episode().firing()) return false;
            if (now_ - series.last_at > options_.idle_after) {
                if (series.model.episode().silent()) ++counts_.dropped["forgotten"];
                return true;
            }
            oldest = std::min(oldest, series.last_at);
            return false;
        });
        if (series_.size() < options_.series_max) return true;
        full_until_ = oldest + options_.idle_after;
        return false;
    }

    void take(const std::string& key, Series& series, const Point& point, Findings& out) {
        if (!plausible(point.at) || (has_now_ && point.at - now_ > kAheadMax)) {
            ++counts_.dropped["bad_time"];
            return;
        }
        if (series.points > 0 && point.at <= series.last_at) {
            ++counts_.dropped["late"];
            return;
        }
        if (point.stale) {
            series.has_last = false;
            series.model.forget_row();
            return;
        }
        if (!(std::abs(point.value) <= kValueMax)) {
            ++counts_.dropped["not_finite"];
            return;
        }
        const double seconds = std::chrono::duration<double>(point.at - series.last_at).count();
        const bool first = series.points++ == 0;
        const double before = std::exchange(series.last, point.value);
        series.last_at = point.at;
        series.integral = series.integral && point.value == std::floor(point.value);
        series.negative = series.negative || point.value < 0;
        if (!std::exchange(series.has_last, true) || first) {
            if (!series.counter) judge(key, series, point.at, point.value, 0, out);
            return;
        }
        follow_cadence(series, seconds);
        series.increases += point.value > before ? 1 : 0;
        series.decreases += point.value < before ? 1 : 0;
        double value = point.value;
        // A counter that went down was reset: it has counted from zero since.
        if (series.counter) value = (value < before ? value : value - before) / seconds;
        judge(key, series, point.at, value, seconds, out);
        if (!series.settled && series.points >= kSettlePoints) settle(series);
    }

    static void follow_cadence(Series& series, double seconds) {
        if (series.step_seconds > 0 && seconds > kGapSteps * series.step_seconds) {
            series.model.forget_row();
        }
        series.step_seconds = series.step_seconds == 0
                                  ? seconds
                                  : series.step_seconds + (seconds - series.step_seconds) / 10;
    }

    // Remote write does not say what is a counter. What was named like one but falls often is
    // none; what only ever rises is one.
    static void settle(Series& series) {
        series.settled = true;
        const bool falls = series.decreases >= 3;
        const bool rises = series.decreases == 0 && series.increases * 2 >= series.points;
        const bool counter = series.counter ? !falls : rises;
        const Episode& episode = series.model.episode();
        if (counter == series.counter || episode.firing() || episode.silent()) return;
        series.counter = counter;
        series.floor = scale_floor(series.unit());
        series.model = LightSeries();
    }

    void judge(const std::string& key, Series& series, EventTime at, double value, double seconds,
               Findings& out) {
        if (!(std::abs(value) <= kValueMax)) {
            ++counts_.dropped["not_finite"];
            return;
        }
        double floor = series.floor;
        if (series.counter && series.integral && seconds > 0) {
            // Events that come by chance scatter by the root of their number (Poisson).
            const double events = std::max(series.judgement.expected * seconds, 1.0);
            floor = std::max(floor, std::sqrt(events) / seconds);
        }
        series.observed = value;
        series.judgement = series.model.observe(at, value, floor, model_options_);
        if (series.judgement.turn == Episode::Turn::kBegan) {
            out.anomalies.push_back(anomaly(key, series, std::nullopt));
        } else if (series.judgement.turn == Episode::Turn::kEnded) {
            const Ended ended = series.judgement.adapted ? Ended::kAdapted : Ended::kCalm;
            out.anomalies.push_back(anomaly(key, series, ended));
        }
    }

    // `ended`: how; nothing while it fires.
    Anomaly anomaly(const std::string& key, const Series& series,
                    std::optional<Ended> ended) const {
        const Judgement& judgement = series.judgement;
        const Episode& episode = series.model.episode();
        Anomaly anomaly;
        anomaly.detector = "seasonal";
        anomaly.key = "seasonal|" + key;
        anomaly.firing = !ended;
        anomaly.ended = ended;
        anomaly.symptom = series.symptom;
        anomaly.severity = options_.severity;
        anomaly.entity = series.entity;
        anomaly.signal = cut(key, kSignalBytesMax);
        anomaly.observed = finite(series.observed);
        anomaly.expected = finite(judgement.expected);
        anomaly.lower = finite(series.negative ? judgement.lower : std::max(judgement.lower, 0.0));
        anomaly.upper = finite(judgement.upper);
        anomaly.score = anomaly.firing ? std::max(judgement.score, 1.0) : judgement.score;
        anomaly.unit = series.unit();
        anomaly.first_seen = episode.first_seen();
        anomaly.last_seen = episode.last_seen();
        const std::string what = series.metric + (series.counter ? " rate" : "");
        const std::string value = with_unit(anomaly.observed, anomaly.unit);
        const std::string usual = range_with_unit(anomaly.lower, anomaly.upper, anomaly.unit);
        const std::string odd_for = span_text(episode.last_seen() - episode.first_seen());
        if (!ended) {
            anomaly.reason =
                judgement.sign == LightSign::kLevel
                    ? fmt::format("{} is {}, usually {}", what, value, usual)
                : judgement.sign == LightSign::kFlat
                    ? fmt::format("{} stands still at {}; it used to change", what, value)
                    : fmt::format("{} stands at {}, the largest it ever had", what, value);
            return anomaly;
        }
        switch (*ended) {
            case Ended::kCalm:
                anomaly.reason = fmt::format("{} is {} again, usually {}; it was unusual for {}",
                                             what, value, usual, odd_for);
                break;
            case Ended::kAdapted:
                anomaly.reason = fmt::format("{} stays near {} for {}: taken as the new normal",
                                             what, value, odd_for);
                break;
            case Ended::kSilent:
                anomaly.reason =
                    fmt::format("{} sent nothing for {}: no longer judged, it was {}, usually {}",
                                what, span_text(options_.end_after), value, usual);
                break;
        }
        return anomaly;
    }

    static constexpr std::size_t kAhead = 8;

    const MetricsOptions options_;
    const std::vector<SeriesPattern> select_;
    const std::vector<SeriesPattern> ignore_;
    ModelOptions model_options_;
    Counts counts_;
    // By number in the table of the samples: an entry of series_, &ignored_, or nullptr while
    // unknown.
    std::vector<Entry*> numbered_;
    Entry ignored_;

    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    EventTime swept_at_;
    EventTime full_until_;
    std::map<std::string, Series, std::less<>> series_;
};

}  // namespace

Result<std::unique_ptr<Detector>> make_metrics_detector(MetricsOptions options) {
    using std::chrono::seconds;
    OptionCheck check("metrics detector");
    check.range<std::size_t>("series_max", options.series_max, 1, 10'000'000);
    check.range<std::uint32_t>("warmup_points", options.warmup_points, 5, 1'000'000);
    check.span("warmup_span", options.warmup_span, seconds{0});
    check.range("threshold", options.threshold, 1.0, 1000.0);
    check.range("spread_ratio_min", options.spread_ratio_min, 0.0, 1.0);
    check.range("spread_min", options.spread_min, 0.0, kValueMax);
    check.range<std::uint32_t>("odd_points", options.odd_points, 1, 60);
    check.range<std::uint32_t>("calm_points", options.calm_points, 1, 600);
    check.span("adapt_after", options.adapt_after, seconds{1});
    check.span("end_after", options.end_after, seconds{1});
    check.span("idle_after", options.idle_after, options.end_after);
    VIGIE_TRY(check.status());
    auto select = parse_patterns(options.select);
    if (!select) return fail(std::move(select).error().in("metrics detector: select"));
    auto ignore = parse_patterns(options.ignore);
    if (!ignore) return fail(std::move(ignore).error().in("metrics detector: ignore"));
    return std::make_unique<SeasonalDetector>(std::move(options), *std::move(select),
                                              *std::move(ignore));
}

}  // namespace vigie::detectors
