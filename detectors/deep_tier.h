#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/id.h"
#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/deep_series.h"
#include "detectors/deep_tail.h"
#include "detectors/light_series.h"
#include "detectors/match.h"
#include "detectors/robust.h"
#include "schemas/events.h"

namespace vigie::detectors {

// Why a series deserves the deep detector; more, the later in this list.
enum class DeepRank : std::uint8_t {
    kNone,
    kOdd,     // The light detector found it odd lately.
    kGolden,  // A golden signal: latency, errors or traffic of a service.
    kNamed,   // Named by a rule, or by the configuration.
};

struct DeepOptions {
    // At most 48 KB each, so 1 GB when full; 0: no deep detector in the pipeline.
    std::size_t series_max = 20'000;
    std::vector<std::string> named;  // Patterns of series, as in match.h.
    bool golden = true;
    std::chrono::seconds odd_stay{86'400};  // How long being odd deserves a place.
};

// What the deep tier makes of a row.
struct DeepJudgement {
    bool deep = false;    // The series is in the tier,
    bool judged = false;  // and past its warm-up.
    double expected = 0;
    double lower = 0;
    double upper = 0;
    double score = 0;         // In thresholds, without the series' record.
    bool usual = false;       // Two other days held such a value at this time.
    bool alarm = false;       // With the series' record: DeepVerdict::anomaly.
    double rarity = 0;        // -log10 of how often the series has such a score.
    double deviation = 0;     // From the last rows, in usual sizes of that.
    double rows_per_day = 0;  // Of all deep series of the entity, about.
    Episode::Turn turn = Episode::Turn::kNone;
    bool adapted = false;
    bool again = false;  // It had fallen silent: who heard of that hears of this.
};

// The series that are judged by the deep detector beside the light one, and who they are: a
// budget of places, given by rank and then to what was odd last. A place is taken from the least
// deserving: first from series that sent nothing for `idle_after`, then from a lower rank, then,
// among those promoted for being odd, from the one that was odd longest ago. A tenth of the places
// is for those, whoever else deserves one. Nobody loses a place
// within an hour of getting it to one of its own rank, so that places are not only warm-ups.
//
// Warm-up of a promoted series: `kWarmupRows` rows and an hour, silent; it knows nothing of the
// rows before. Deterministic, in order of the rows.
class DeepTier {
public:
    static constexpr std::uint32_t kWarmupRows = 500;
    static constexpr std::chrono::hours kWarmupSpan{1};

    struct Rules {
        std::chrono::seconds idle_after{3600};
        EventClock::duration adapt_after{std::chrono::minutes{30}};
        std::uint32_t calm_points = 5;
    };
    DeepTier(DeepOptions options, std::vector<SeriesPattern> named, Rules rules)
        : options_(std::move(options)), named_(std::move(named)), rules_(rules) {}

    // Of a series by what it is: never kOdd.
    DeepRank rank_of(std::string_view metric, const schemas::Labels& labels,
                     schemas::Symptom symptom) const;
    // Gives the series a place if it has one, or deserves one by its rank or by being odd now. True
    // when it has one then. For series without a place and for odd ones.
    bool promote(std::string_view key, const EntityId& entity, DeepRank rank, bool odd,
                 EventTime at);
    // `deep` is false when the series has no place (any more). `light_fires`: what is odd is told
    // already. Rows of one series in order of time.
    DeepJudgement observe(std::string_view key, EventTime at, double value, bool light_fires);
    // The alarm that observe() began is not told: it did not begin.
    void retract(std::string_view key);
    const Episode* episode(std::string_view key) const;  // nullptr: no place.

    void forget_row(std::string_view key);  // After a gap or a counter's reset: the next rows rest.
    void forget(std::string_view key);      // The series is gone, or is another.
    // Series of which nothing came for `end_after` while an alarm fired fall silent; their keys
    // are returned. Those that have no claim to a place any more lose it, unless an alarm of theirs
    // is open.
    std::vector<std::string> sweep(EventTime now, EventTime watching_since,
                                   std::chrono::seconds end_after);

    std::size_t size() const { return entries_.size(); }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t promoted() const { return promoted_; }  // Since it was made.
    std::uint64_t demoted() const { return demoted_; }
    std::uint64_t refused() const { return refused_; }      // Deserving, but no place.
    std::uint64_t forgotten() const { return forgotten_; }  // Demoted with an alarm that was open.

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Entry {
        DeepSeries series;
        ScoreTail sums;
        EntityId entity;
        DeepRank rank = DeepRank::kOdd;
        Episode episode;
        EventTime since;     // Promoted.
        EventTime interest;  // When it was odd last.
        EventTime last_at;
        double step_seconds = 0;
        std::uint32_t rows = 0;
        double lower = 0;  // The band when the alarm that fires began.
        double upper = 0;
        double peak = 0;        // Rarest of the odd rows before an alarm; 0: none.
        std::uint8_t rest = 0;  // Rows that are not judged.
        bool outside = false;   // The first of them was beyond its band.
        bool alarmed = false;   // One of them was an alarm of the series.
        std::size_t bytes = 0;  // Of memory, as counted in bytes_.
    };
    using Entries = std::map<std::string, Entry, std::less<>>;
    // Who loses a place first: rank, interest, key.
    using Place = std::tuple<DeepRank, EventTime, std::string>;

    static Place place_of(const std::string& key, const Entry& entry);
    bool make_room(DeepRank rank, EventTime at);
    void drop(Entries::iterator entry);
    void renew(Entries::iterator entry, DeepRank rank, EventTime at);
    void count_bytes(Entry& entry);
    void follow(Entry& entry, EventTime at, double value, bool light_fires, DeepJudgement& out);

    DeepOptions options_;
    std::vector<SeriesPattern> named_;
    Rules rules_;
    Entries entries_;
    std::set<Place> places_;
    std::map<std::string, std::uint32_t, std::less<>> of_entity_;  // How many deep series it has.
    EventTime now_;                                                // Of the newest row.
    EventTime none_idle_until_;  // Looking for idle series again is no use before.
    std::size_t odd_ = 0;        // Entries of that rank.
    std::size_t bytes_ = 0;
    std::uint64_t promoted_ = 0;
    std::uint64_t demoted_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t forgotten_ = 0;
};

}  // namespace vigie::detectors
