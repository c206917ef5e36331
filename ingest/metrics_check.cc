#include "ingest/metrics_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <utility>

namespace vigie::ingest {

namespace {

constexpr std::size_t kSlotsMin = std::size_t{1} << 12U;
constexpr std::size_t kSlotsMax = std::size_t{1} << 21U;
constexpr std::size_t kSeriesMax = std::size_t{3} << 19U;
constexpr std::size_t kEntitiesMax = 100'000;

// An index whose numbers are those of entities, not of series. It keeps the series in the order in
// which they came, because senders repeat themselves: the next one is most often the one behind. It
// forgets as it likes: when it is full it starts again.
class KnownSeries final : public schemas::SeriesIndex {
public:
    KnownSeries() : slots_(kSlotsMin, kNone) {}

    // Until the next call: whose series they are. What one source has another one asks for itself.
    void serve(SeriesBound& bound) {
        bound_ = &bound;
        const auto address = reinterpret_cast<std::uintptr_t>(&bound);
        salt_ = (static_cast<std::uint64_t>(address) + bound.window()) * 0x9e3779b97f4a7c15U;
        over_bound_ = false;
    }
    bool over_bound() const { return over_bound_; }

    std::optional<Known> find(std::uint64_t wire_hash) const override {
        wire_hash ^= salt_;
        if (next_ >= series_.size() || series_[next_].hash != wire_hash) {
            const std::uint32_t at = slots_[wire_hash & (slots_.size() - 1)];
            if (at == kNone || series_[at].hash != wire_hash) return std::nullopt;
            next_ = at;
        }
        return Known{series_[next_++].entity, schemas::MetricKind::kUnknown};
    }

    schemas::SeriesHandle add(std::uint64_t wire_hash, schemas::MetricKind /*kind*/,
                              std::string_view metric, const schemas::Labels& labels) override {
        wire_hash ^= salt_;
        // Not remembered: it is asked for again each time.
        if (bound_ != nullptr && !bound_->admit(metric, labels)) {
            over_bound_ = true;
            return number_of(schemas::entity_of(labels, metric).value);
        }
        if (series_.size() >= slots_.size() / 2 && slots_.size() < kSlotsMax) grow();
        const std::uint32_t entity = number_of(schemas::entity_of(labels, metric).value);
        slots_[wire_hash & (slots_.size() - 1)] = static_cast<std::uint32_t>(series_.size());
        series_.push_back({wire_hash, entity});
        next_ = series_.size();
        return entity;
    }

    const std::string& entity(schemas::SeriesHandle number) const { return entities_[number]; }

    // Between two bodies, as numbers change.
    void make_room() {
        if (entities_.size() < kEntitiesMax && series_.size() < kSeriesMax) return;
        std::ranges::fill(slots_, kNone);
        series_.clear();
        entities_.clear();
        numbers_.clear();
    }

private:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
    struct Series {
        std::uint64_t hash = 0;
        std::uint32_t entity = kNone;
    };

    void grow() {
        slots_.assign(slots_.size() * 2, kNone);
        for (std::size_t i = 0; i < series_.size(); ++i) {
            slots_[series_[i].hash & (slots_.size() - 1)] = static_cast<std::uint32_t>(i);
        }
    }

    std::uint32_t number_of(const std::string& entity) {
        const auto [at, fresh] =
            numbers_.emplace(entity, static_cast<std::uint32_t>(entities_.size()));
        if (fresh) entities_.push_back(entity);
        return at->second;
    }

    SeriesBound* bound_ = nullptr;
    std::uint64_t salt_ = 0;
    bool over_bound_ = false;
    std::vector<Series> series_;
    mutable std::size_t next_ = 0;      // The one that is guessed
    std::vector<std::uint32_t> slots_;  // By hash: where in series_; the next one takes it.
    std::vector<std::string> entities_;
    std::unordered_map<std::string, std::uint32_t> numbers_;
};

}  // namespace

class MetricsCheck::Reader {
public:
    Result<Content> read(std::string_view bytes, std::string_view content_type,
                         std::string_view content_encoding, const schemas::DecodeLimits& limits,
                         SeriesBound& bound) {
        known_.make_room();
        known_.serve(bound);
        VIGIE_TRY(schemas::decode_samples(bytes, content_type, content_encoding, limits, known_,
                                          decoded_));
        Content content;
        content.items = decoded_.samples.size();
        content.refused = decoded_.refused;
        content.refused_why = decoded_.refused_why;
        content.counts = decoded_.counts;
        content.over_bound = known_.over_bound();
        bool one = true;
        for (const auto& sample : decoded_.samples) {
            content.newest = std::max(content.newest, sample.at);
            one = one && sample.series == decoded_.samples.front().series;
        }
        if (one && content.items > 0) {
            content.entity = known_.entity(decoded_.samples.front().series);
        }
        return content;
    }

private:
    KnownSeries known_;
    schemas::DecodedSamples decoded_;
};

MetricsCheck::MetricsCheck() = default;
MetricsCheck::~MetricsCheck() = default;

Result<Content> MetricsCheck::check(std::string_view bytes, std::string_view content_type,
                                    std::string_view content_encoding,
                                    const schemas::DecodeLimits& limits, SeriesBound& bound) {
    std::unique_ptr<Reader> reader;
    {
        const std::scoped_lock lock(mutex_);
        if (!idle_.empty()) {
            reader = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    if (!reader) reader = std::make_unique<Reader>();
    auto content = reader->read(bytes, content_type, content_encoding, limits, bound);
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(reader));
    return content;
}

}  // namespace vigie::ingest
