#include "detectors/absence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "detectors/codec.h"
#include "detectors/match.h"
#include "detectors/option_check.h"
#include "detectors/phase.h"
#include "detectors/words.h"

namespace vigie::detectors {

namespace {

using schemas::Anomaly;
using schemas::Ended;
using schemas::TimeSeries;

constexpr char kVersion = '2';
constexpr std::chrono::hours kAheadMax{1};
constexpr std::string_view kSource = "source:metrics";

double seconds_of(EventClock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

struct Life {
    EventTime first_at;
    EventTime last_at;
    Phase phase = Phase::kQuiet;  // kSilent: gone for good.

    void save(Encoder& out) const {
        out.time(first_at);
        out.time(last_at);
        save_phase(phase, out);
    }
    void load(Decoder& in) {
        first_at = in.time();
        last_at = in.time();
        phase = load_phase(in);
    }
};

class AbsenceDetector final : public Detector {
public:
    AbsenceDetector(AbsenceOptions options, std::vector<SeriesPattern> select)
        : options_(std::move(options)), select_(std::move(select)) {}

    using Detector::observe;
    void observe(std::span<const TimeSeries> batch, Findings& out) override {
        for (const TimeSeries& series : batch) {
            if (!matches_any(select_, series.metric, series.labels)) continue;
            const EntityId entity = schemas::entity_of(series.labels, series.metric);
            if (entity.empty()) continue;
            for (const auto& point : series.points) {
                if (point.stale || !std::isfinite(point.value)) continue;
                take(entity, point.at, out);
            }
        }
    }

    void observe(const SampleBatch& batch, Findings& out) override {
        if (entities_.size() > 2 * options_.entities_max + kEntitiesSpare) {
            entities_.clear();
            entity_numbers_.clear();
            entity_of_series_.clear();
        }
        entity_of_series_.resize(
            std::max<std::size_t>(entity_of_series_.size(), batch.series.end()), kUnknown);
        for (const schemas::Sample& sample : batch.samples) {
            if (sample.stale || !std::isfinite(sample.value)) continue;
            std::uint32_t& number = entity_of_series_[sample.series];
            if (number == kUnknown) number = look_up(sample.series, batch.series);
            if (number == kIgnored) continue;
            Sender& sender = entities_[number];
            // Most series of an entity say no more than the first one did.
            if (sender.taken_in == generation_ && sender.last_at == sample.at) continue;
            sender.last_at = sample.at;
            sender.taken_in = take(sender.entity, sample.at, out) ? generation_ : 0;
        }
    }

    void forget(std::span<const schemas::SeriesHandle> series) override {
        for (const schemas::SeriesHandle number : series) {
            if (number < entity_of_series_.size()) entity_of_series_[number] = kUnknown;
        }
    }

    void advance(EventTime now, Findings& out) override {
        if (!plausible(now) || (has_now_ && now <= now_)) return;
        // While nobody called, nobody was silent either.
        if (!has_now_ || now - now_ > options_.gap_max / 2) watching_since_ = now;
        now_ = now;
        has_now_ = true;
        if (judge_source(out)) return;
        for (auto at = lives_.begin(); at != lives_.end();) {
            Life& life = at->second;
            const auto silence = now_ - std::max(life.last_at, watching_since_);
            if (silence > options_.forget_after && life.phase == Phase::kQuiet) {
                at = lives_.erase(at);
                ++generation_;
                continue;
            }
            if (silence > options_.forget_after && life.phase == Phase::kFiring) {
                life.phase = Phase::kSilent;
                ++gone_;
                out.anomalies.push_back(anomaly(at->first, life, "is taken as gone for good"));
                out.anomalies.back().ended = Ended::kSilent;
            }
            if (life.phase == Phase::kQuiet && silence > options_.gap_max && known(life)) {
                life.phase = Phase::kFiring;
                out.anomalies.push_back(anomaly(at->first, life, ""));
            }
            ++at;
        }
    }

    std::string save() const override {
        Encoder out;
        out.flag(has_now_);
        out.time(now_);
        out.time(watching_since_);
        source_.save(out);
        out.u64(lives_.size());
        for (const auto& [entity, life] : lives_) {
            out.text(entity);
            life.save(out);
        }
        return std::move(out).seal(kVersion);
    }

    Status load(std::string_view saved) override {
        VIGIE_TRY_ASSIGN(auto in, Decoder::open(saved, kVersion, "absence detector"));
        const bool has_now = in.flag();
        const EventTime now = in.time();
        const EventTime watching_since = in.time();
        Life source;
        source.load(in);
        std::map<std::string, Life, std::less<>> lives;
        for (std::size_t left = in.count(4); left > 0 && !in.failed(); --left) {
            std::string entity = in.text();
            lives[std::move(entity)].load(in);
        }
        VIGIE_TRY(in.finish());
        has_now_ = has_now;
        now_ = now;
        watching_since_ = watching_since;
        source_ = source;
        lives_ = std::move(lives);
        ++generation_;
        gone_ = static_cast<std::size_t>(std::ranges::count_if(
            lives_, [](const auto& each) { return each.second.phase == Phase::kSilent; }));
        return {};
    }

    Counts counts() const override {
        Counts counts = counts_;
        counts.tracked = lives_.size();
        return counts;
    }

private:
    bool known(const Life& life) const { return life.last_at - life.first_at >= options_.seen_min; }

    struct Sender {
        EntityId entity;
        EventTime last_at;           // Of what was taken last,
        std::uint64_t taken_in = 0;  // while `generation_` was this.
    };

    std::uint32_t look_up(schemas::SeriesHandle series, const schemas::SeriesTable& table) {
        const auto metric = table.metric(series);
        const auto labels = table.labels(series);
        if (!matches_any(select_, metric, labels)) return kIgnored;
        EntityId entity = schemas::entity_of(labels, metric);
        if (entity.empty()) return kIgnored;
        const auto [at, fresh] =
            entity_numbers_.try_emplace(entity.value, static_cast<std::uint32_t>(entities_.size()));
        if (fresh) entities_.push_back({std::move(entity), {}, 0});
        return at->second;
    }

    // False when it was not taken: the same again is to be counted again.
    bool take(const EntityId& entity, EventTime at, Findings& out) {
        if (!plausible(at) || (has_now_ && at - now_ > kAheadMax)) {
            ++counts_.dropped["bad_time"];
            return false;
        }
        auto found = lives_.find(entity.value);
        if (found == lives_.end()) {
            if (lives_.size() >= options_.entities_max && !forget_gone()) {
                ++counts_.dropped["entities_max"];
                return false;
            }
            found = lives_.emplace(entity.value, Life{at, at, Phase::kQuiet}).first;
        }
        Life& life = found->second;
        if (source_.first_at == EventTime{} || at < source_.first_at) source_.first_at = at;
        source_.last_at = std::max(source_.last_at, at);
        if (at <= life.last_at) return true;
        life.last_at = at;
        const Phase before = std::exchange(life.phase, Phase::kQuiet);
        if (before == Phase::kQuiet) return true;
        out.anomalies.push_back(anomaly(entity.value, life, "sends again"));
        if (before == Phase::kFiring) return true;
        --gone_;
        life.first_at = at;  // As if it were new.
        return true;
    }

    // Makes room by forgetting what is gone for longest. False when nothing is.
    bool forget_gone() {
        if (gone_ == 0) return false;
        auto oldest = lives_.end();
        for (auto at = lives_.begin(); at != lives_.end(); ++at) {
            if (at->second.phase != Phase::kSilent) continue;
            if (oldest == lives_.end() || at->second.last_at < oldest->second.last_at) oldest = at;
        }
        VIGIE_ASSERT(oldest != lives_.end());
        lives_.erase(oldest);
        ++generation_;
        --gone_;
        ++counts_.dropped["forgotten"];
        return true;
    }

    // True while nothing comes from anyone: then the way in is broken, and no entity is judged.
    bool judge_source(Findings& out) {
        const auto silence = now_ - std::max(source_.last_at, watching_since_);
        if (silence > options_.gap_max) {
            if (source_.phase == Phase::kQuiet && known(source_)) {
                source_.phase = Phase::kFiring;
                out.anomalies.push_back(anomaly(kSource, source_, ""));
            }
            return true;
        }
        if (std::exchange(source_.phase, Phase::kQuiet) == Phase::kFiring) {
            out.anomalies.push_back(anomaly(kSource, source_, "sends again"));
            watching_since_ = now_;  // The entities need time to show up.
        }
        return false;
    }

    Anomaly anomaly(std::string_view entity, const Life& life, std::string_view over) const {
        const auto silence = now_ - life.last_at;
        Anomaly anomaly;
        anomaly.detector = "absence";
        anomaly.key = fmt::format("absence|{}", entity);
        anomaly.firing = life.phase == Phase::kFiring;
        if (!anomaly.firing) anomaly.ended = Ended::kCalm;
        anomaly.symptom = schemas::Symptom::kAbsence;
        anomaly.severity = options_.severity;
        anomaly.entity = EntityId{std::string(entity)};
        anomaly.signal = entity == kSource ? "metrics of every entity" : "all metrics";
        anomaly.observed = std::max(seconds_of(silence), 0.0);
        anomaly.upper = seconds_of(options_.gap_max);
        anomaly.score = anomaly.observed / anomaly.upper;
        if (anomaly.firing) anomaly.score = std::max(anomaly.score, 1.0);
        anomaly.unit = "s";
        anomaly.first_seen = life.last_at;
        anomaly.last_seen = anomaly.firing ? now_ : life.last_at;
        if (!over.empty()) {
            anomaly.reason = fmt::format("{} {}", entity, over);
        } else if (entity == kSource) {
            anomaly.reason = fmt::format(
                "no metrics from anyone for {}: the sender or the way here is broken, and nothing "
                "is judged meanwhile",
                span_text(silence));
        } else {
            anomaly.reason = fmt::format("{} sent no metrics for {}, usually at least every {}",
                                         entity, span_text(silence), span_text(options_.gap_max));
        }
        return anomaly;
    }

    const AbsenceOptions options_;
    const std::vector<SeriesPattern> select_;
    Counts counts_;

    static constexpr std::uint32_t kUnknown = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::uint32_t kIgnored = kUnknown - 1;
    static constexpr std::size_t kEntitiesSpare = 10'000;
    std::vector<std::uint32_t> entity_of_series_;  // By number in the table of the samples.
    std::vector<Sender> entities_;
    std::uint64_t generation_ = 1;  // Of lives_, which forgets.
    std::unordered_map<std::string, std::uint32_t> entity_numbers_;

    // Saved.
    bool has_now_ = false;
    EventTime now_;
    EventTime watching_since_;
    Life source_;
    std::map<std::string, Life, std::less<>> lives_;  // By entity.
    std::size_t gone_ = 0;                            // How many of them are gone for good.
};

}  // namespace

Result<std::unique_ptr<Detector>> make_absence_detector(AbsenceOptions options) {
    using std::chrono::seconds;
    OptionCheck check("absence detector");
    check.span("gap_max", options.gap_max, seconds{1});
    check.span("seen_min", options.seen_min, seconds{0});
    check.span("forget_after", options.forget_after, options.gap_max);
    check.range<std::size_t>("entities_max", options.entities_max, 1, 10'000'000);
    VIGIE_TRY(check.status());
    auto select = parse_patterns(options.select);
    if (!select) return fail(std::move(select).error().in("absence detector: select"));
    return std::make_unique<AbsenceDetector>(std::move(options), *std::move(select));
}

}  // namespace vigie::detectors
