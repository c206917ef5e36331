#include "detectors/metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/histogram_quantiles.h"
#include "detectors/light_series.h"
#include "detectors/match.h"
#include "detectors/metric_policy.h"
#include "detectors/metric_tiers.h"
#include "detectors/option_check.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Labels;
using schemas::MetricKind;
using schemas::Point;
using schemas::TimeSeries;

constexpr char kVersion = '4';
constexpr char kVersionLight = '3';   // Without tiers, and pairs of rows in the light one.
constexpr char kVersionBefore = '2';  // Of another model of a series: LightSeries reads it.
constexpr double kValueMax = 1e200;
constexpr std::chrono::hours kAheadMax{1};  // Later than now by more is a broken clock.
constexpr std::chrono::seconds kSweepEvery{10};
constexpr std::uint64_t kSettlePoints = 32;  // Then a series is a counter or a gauge for good.
constexpr double kGapSteps = 10;
constexpr std::uint64_t kPoolFrom = 64;  // A series tells its pool at so many rows, and twice, …

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
    SeriesTier tier;
    // Known with the first row after a start; not saved.
    bool placed = false;
    std::uint16_t rule = 0;
    SeriesPool* pool = nullptr;

    std::string unit() const { return unit_of(metric, counter); }
};

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
    out.flag(series.tier.told);
    out.flag(series.tier.deep);
    out.u64(series.tier.wait);
    series.model.save(out);
}

Series load_series(Decoder& in, char version) {
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
    if (version == kVersion) {
        series.tier.told = in.flag();
        series.tier.deep = in.flag();
        const std::uint64_t wait = in.u64();
        if (wait > 255) in.set_failed();
        series.tier.wait = static_cast<std::uint8_t>(wait & 0xffU);
        series.model.load(in);
        series.floor = scale_floor(series.unit());
        return series;
    }
    version == kVersionBefore ? series.model.load_before(in) : series.model.load_without_pairs(in);
    // All that fired was told.
    series.tier.told = series.model.episode().firing() || series.model.episode().silent();
    series.floor = scale_floor(series.unit());
    return series;
}

ModelOptions usual_model(const MetricsOptions& options) {
    ModelOptions model;
    model.warmup_points = options.warmup_points;
    model.warmup_span = options.warmup_span;
    model.threshold = options.threshold;
    model.spread_ratio_min = options.spread_ratio_min;
    model.spread_min = options.spread_min;
    model.odd_points = options.odd_points;
    model.calm_points = options.calm_points;
    model.seasonal = options.seasonal;
    model.adapt_after = options.adapt_after;
    model.up = options.direction != Direction::kDown;
    model.down = options.direction != Direction::kUp;
    return model;
}

class SeasonalDetector final : public Detector {
public:
    SeasonalDetector(MetricsOptions options, std::vector<SeriesPattern> select,
                     std::vector<SeriesPattern> ignore, std::vector<SeriesPattern> named,
                     MetricPolicy policy)
        : options_(std::move(options)),
          select_(std::move(select)),
          ignore_(std::move(ignore)),
          named_(std::move(named)),
          policy_(std::move(policy)),
          tiers_(std::make_unique<MetricTiers>(options_, named_)),
          quantiles_(options_.histograms_max) {}

    using Detector::observe;
    void observe(std::span<const TimeSeries> batch, Findings& out) override {
        for (const TimeSeries& input : batch) watch(input, out);
        if (options_.histograms_max == 0) return;
        for (const TimeSeries& input : quantiles_.take(batch)) watch(input, out);
    }

    void observe(const SampleBatch& batch, Findings& out) override {
        numbered_.resize(std::max<std::size_t>(numbered_.size(), batch.series.end()));
        std::vector<TimeSeries> buckets;
        for (std::size_t i = 0; i < batch.samples.size(); ++i) {
            if (i + kAhead < batch.samples.size()) prefetch(batch.samples[i + kAhead].series);
            const schemas::Sample& sample = batch.samples[i];
            Numbered& numbered = numbered_[sample.series];
            if (numbered.entry == nullptr) look_up(numbered, sample, batch.series);
            if (numbered.is_bucket) buckets.push_back(text_of(sample, batch.series));
            Entry* const entry = numbered.entry;
            if (entry == &ignored_) continue;
            if (entry == nullptr) {
                ++counts_.dropped["series_max"];
                continue;
            }
            take(entry->first, entry->second, {sample.at, sample.value, sample.stale}, out);
        }
        for (const TimeSeries& input : quantiles_.take(buckets)) watch(input, out);
    }

    void forget(std::span<const schemas::SeriesHandle> series) override {
        for (const schemas::SeriesHandle number : series) {
            if (number < numbered_.size()) numbered_[number] = {};
        }
    }

    void learn(const schemas::Event& event) override { tiers_->learn(event); }

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
            tiers_->light_silent(facts_of(key, series), series.tier, series.judgement,
                                 series.model.episode(), out);
        }
        const auto facts = [this](std::string_view key) -> std::optional<SeriesFacts> {
            const auto found = series_.find(key);
            if (found == series_.end()) return std::nullopt;
            return facts_of(found->first, found->second);
        };
        tiers_->sweep(now_, watching_since_, facts, out);
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
        policy_.save(out);
        quantiles_.save(out);
        tiers_->save(out);
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        char version = saved.empty() ? kVersion : saved.front();
        if (version != kVersionBefore && version != kVersionLight) version = kVersion;
        VIGIE_TRY_ASSIGN(auto in, Decoder::open(saved, version, "metrics detector"));
        const bool has_now = in.flag();
        const EventTime now = in.time();
        const EventTime watching_since = in.time();
        const EventTime swept_at = in.time();
        const EventTime full_until = in.time();
        std::map<std::string, Series, std::less<>> series;
        for (std::size_t left = in.count(32); left > 0 && !in.failed(); --left) {
            std::string key = in.text();
            series.insert_or_assign(std::move(key), load_series(in, version));
        }
        VIGIE_TRY_ASSIGN(auto fresh, MetricPolicy::make(usual_model(options_), options_.rules));
        HistogramQuantiles quantiles(options_.histograms_max);
        auto tiers = std::make_unique<MetricTiers>(options_, named_);
        if (version == kVersion) {
            fresh.load(in);
            quantiles.load(in);
            tiers->load(in);
        }
        VIGIE_TRY(in.finish());
        policy_ = std::move(fresh);
        quantiles_ = std::move(quantiles);
        tiers_ = std::move(tiers);
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
        tiers_->count(counts);
        counts.dropped["histograms_max"] += quantiles_.refused();
        counts.sizes["histograms"] = quantiles_.size();
        return counts;
    }

private:
    using Entry = std::pair<const std::string, Series>;
    struct Numbered {
        Entry* entry = nullptr;  // Of series_, or &ignored_; nullptr while unknown.
        bool is_bucket = false;  // Of a histogram.
    };

    static SeriesFacts facts_of(std::string_view key, const Series& series) {
        return {key,           series.metric,  series.entity,   series.symptom,
                series.unit(), series.counter, series.negative, series.observed};
    }

    void watch(const TimeSeries& input, Findings& out) {
        if (!watched(input.metric, input.labels)) return;
        Entry* const entry = find_or_add(input.metric, input.labels, input.kind);
        if (entry == nullptr) {
            counts_.dropped["series_max"] += input.points.size();
            return;
        }
        for (const Point& point : input.points) take(entry->first, entry->second, point, out);
    }

    bool watched(std::string_view metric, const Labels& labels) const {
        return matches_any(select_, metric, labels) && !matches_any(ignore_, metric, labels);
    }

    // What follows from the labels, which are not kept.
    void place(Series& series, const Labels& labels) {
        series.placed = true;
        series.rule = policy_.rule_of(series.metric, labels);
        series.pool = policy_.pool_of(series.metric, labels);
        series.tier.rank =
            tiers_->rank_of(series.metric, labels, series.symptom, policy_.deep(series.rule));
    }

    // Placed; nullptr when there is no room.
    Entry* find_or_add(std::string_view metric, const Labels& labels, MetricKind kind) {
        Entry* const entry = find_or_make(metric, labels, kind);
        if (entry != nullptr && !entry->second.placed) place(entry->second, labels);
        return entry;
    }

    Entry* find_or_make(std::string_view metric, const Labels& labels, MetricKind kind) {
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

    // Its entry stays nullptr when there is no room.
    void look_up(Numbered& numbered, const schemas::Sample& sample,
                 const schemas::SeriesTable& table) {
        const auto metric = table.metric(sample.series);
        const Labels labels = table.labels(sample.series);
        numbered.entry =
            watched(metric, labels) ? find_or_add(metric, labels, sample.kind) : &ignored_;
        numbered.is_bucket = options_.histograms_max > 0 && metric.ends_with("_bucket");
    }

    // Series are far apart in memory, and nothing else foretells which comes next.
    [[gnu::always_inline]] void prefetch(schemas::SeriesHandle number) const {
        const Entry* const entry = numbered_[number].entry;
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
        std::ranges::fill(numbered_, Numbered{});
        std::erase_if(series_, [&](const auto& each) {
            const Series& series = each.second;
            if (series.model.episode().firing()) return false;
            if (now_ - series.last_at > options_.idle_after) {
                if (series.model.episode().silent()) ++counts_.dropped["forgotten"];
                tiers_->forget(each.first, series.tier);
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
            forget_row(key, series);
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
        follow_cadence(key, series, seconds);
        series.increases += point.value > before ? 1 : 0;
        series.decreases += point.value < before ? 1 : 0;
        double value = point.value;
        // A counter that went down was reset: it has counted from zero since.
        if (series.counter && value < before) tiers_->forget_row(key, series.tier);
        if (series.counter) value = (value < before ? value : value - before) / seconds;
        judge(key, series, point.at, value, seconds, out);
        if (!series.settled && series.points >= kSettlePoints) settle(key, series);
    }

    void forget_row(const std::string& key, Series& series) {
        series.model.forget_row();
        tiers_->forget_row(key, series.tier);
    }

    void follow_cadence(const std::string& key, Series& series, double seconds) {
        if (series.step_seconds > 0 && seconds > kGapSteps * series.step_seconds) {
            forget_row(key, series);
        }
        series.step_seconds = series.step_seconds == 0
                                  ? seconds
                                  : series.step_seconds + (seconds - series.step_seconds) / 10;
    }

    // Remote write does not say what is a counter. What was named like one but falls often is
    // none; what only ever rises is one.
    void settle(const std::string& key, Series& series) {
        series.settled = true;
        const bool falls = series.decreases >= 3;
        const bool rises = series.decreases == 0 && series.increases * 2 >= series.points;
        const bool counter = series.counter ? !falls : rises;
        const Episode& episode = series.model.episode();
        if (counter == series.counter || episode.firing() || episode.silent()) return;
        series.counter = counter;
        series.floor = scale_floor(series.unit());
        series.model = LightSeries();
        tiers_->forget(key, series.tier);
        series.tier.deep = false;
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
        const bool again = series.model.episode().silent();
        series.judgement = observe_light(series, at, value, floor);
        const Episode& episode = series.model.episode();
        if (MetricTiers::concerned(series.tier, series.judgement, episode)) {
            tiers_->row(facts_of(key, series), series.tier, at, series.judgement, episode, again,
                        out);
        }
    }

    Judgement observe_light(Series& series, EventTime at, double value, double floor) {
        const ModelOptions& usual = policy_.model(series.rule);
        if (series.model.warm(at, usual)) {
            if (series.pool != nullptr && series.points >= kPoolFrom &&
                std::has_single_bit(series.points)) {
                series.pool->add(series.model.spread(), series.model.level());
            }
            return series.model.observe(at, value, floor, usual);
        }
        const double ratio = series.pool == nullptr ? 0 : series.pool->ratio();
        if (ratio == 0) return series.model.observe(at, value, floor, usual);
        floor = std::max(floor, ratio * std::abs(series.model.level()));
        return series.model.observe(at, value, floor, policy_.young(series.rule));
    }

    static constexpr std::size_t kAhead = 8;

    const MetricsOptions options_;
    const std::vector<SeriesPattern> select_;
    const std::vector<SeriesPattern> ignore_;
    const std::vector<SeriesPattern> named_;
    Counts counts_;
    // By number in the table of the samples.
    std::vector<Numbered> numbered_;
    Entry ignored_;

    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    EventTime swept_at_;
    EventTime full_until_;
    std::map<std::string, Series, std::less<>> series_;
    MetricPolicy policy_;
    std::unique_ptr<MetricTiers> tiers_;
    HistogramQuantiles quantiles_;
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
    check.range<std::size_t>("deep.series_max", options.deep.series_max, 0, 1'000'000);
    check.span("deep.odd_stay", options.deep.odd_stay, seconds{60});
    check.range("noise.false_alarms_per_day", options.noise.false_alarms_per_day, 1e-6, 1e6);
    check.span("noise.deployment_grace", options.noise.deployment_grace, seconds{0});
    check.range<std::size_t>("noise.entities_max", options.noise.entities_max, 1, 10'000'000);
    check.range<std::size_t>("noise.verdicts_max", options.noise.verdicts_max, 1, 1'000'000);
    check.range<std::size_t>("histograms_max", options.histograms_max, 0, 1'000'000);
    check.range<std::size_t>("joint_entities_max", options.joint_entities_max, 0, 1'000'000);
    for (const KnownEvent& event : options.noise.calendar) {
        check.span("calendar: lasts", event.lasts, seconds{1});
        check.span("calendar: every", event.every, seconds{0});
        check.require(event.every == seconds{0} || event.every > event.lasts,
                      "calendar: " + event.name + " lasts longer than until it comes again");
        check.require(plausible(event.begin), "calendar: " + event.name + " begins at no time");
    }
    VIGIE_TRY(check.status());
    auto named = parse_patterns(options.deep.named);
    if (!named) return fail(std::move(named).error().in("metrics detector: deep.named"));
    auto policy = MetricPolicy::make(usual_model(options), options.rules);
    if (!policy) return fail(std::move(policy).error().in("metrics detector"));
    auto select = parse_patterns(options.select);
    if (!select) return fail(std::move(select).error().in("metrics detector: select"));
    auto ignore = parse_patterns(options.ignore);
    if (!ignore) return fail(std::move(ignore).error().in("metrics detector: ignore"));
    return std::make_unique<SeasonalDetector>(std::move(options), *std::move(select),
                                              *std::move(ignore), *std::move(named),
                                              *std::move(policy));
}

}  // namespace vigie::detectors
